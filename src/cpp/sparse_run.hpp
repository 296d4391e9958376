// One run of a circuit on a state of nonzero amplitudes: shots that start together and part at measurements.
#pragma once

#include <memory>
#include <string>

#include "sparse_gates.hpp"
#include "sparse_pass.hpp"

namespace qrex::sparse {

class Random {  // xoshiro256++ of Blackman and Vigna, seeded by splitmix64
 public:
  explicit Random(std::uint64_t seed);
  std::uint64_t next();
  std::uint64_t below(std::uint64_t bound) {  // by multiplication; off by less than bound / 2^64
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
  }

 private:
  std::uint64_t state_[4];
};

class Run {
 public:
  Run(nanobind::handle program, std::uint64_t shots, std::uint64_t seed, std::size_t memory, int threads,
      int fused_bits);

  bool advance(double seconds);  // whether all shots have ended; throws OutOfMemory, and again from then on
  double fraction() const;
  double forecast() const;  // seconds, infinite where the trend passes the memory
  std::uint64_t size() const { return size_; }
  std::uint64_t largest() const { return largest_; }
  std::size_t held() const { return budget_.held(); }
  std::size_t peak() const { return budget_.peak(); }
  std::size_t limit() const { return budget_.limit(); }
  double error() const { return worst_error_; }  // bound on the trace distance by dropped amplitudes
  std::uint64_t branches() const { return ended_branches_; }
  double seconds() const { return elapsed_; }
  double work() const { return work_; }
  const Circuit& circuit() const { return circuit_; }
  const Plan& plan() const { return plan_; }
  std::size_t clbit_words() const { return clbit_words_; }

  // Distinct rows of classical bits, `clbit_words` words each, ascending, and their shots.
  void results(std::vector<std::uint64_t>& rows, std::vector<std::uint64_t>& counts);
  // Probabilities of classical rows, given as `results` gives them; empty unless one state led to the end.
  std::vector<double> probabilities(const std::vector<std::uint64_t>& rows, std::size_t count) const;
  const State& state() const { return branch_.state; }

 private:
  struct Branch {
    std::uint32_t at = 0;
    std::uint64_t shots = 0;
    double error = 0;
    bool ordered = true;  // amplitudes stand in an order that threads had no part in
    std::vector<std::uint64_t> bits;
    State state;
    std::vector<std::uint64_t> packed;  // a small state at rest: keys and amplitudes, instead of chunks
    std::uint32_t packed_count = 0;
  };

  void compile();
  void run_steps();
  void sweep(std::uint32_t end);
  void block(const Step& step);
  void adopt(double dropped);
  void measure(const Step& step);
  void keep(std::uint32_t word, std::uint64_t bit, bool one, double scale, State* other, double other_scale);
  void settle(const Step& step, Branch& branch, bool one);
  void rest(Branch&& branch);
  void resume();
  void compact();
  void end_branch();
  void sample_small();
  void sample_large();
  void record(const std::uint64_t* key, std::uint64_t shots);
  bool holds(int guard);

  Circuit circuit_;
  Plan plan_;
  std::unique_ptr<Compiler> compiler_;  // until the plan is complete
  const Kernels& kernels_;
  Budget budget_;
  Pool pool_;
  Region records_;
  int threads_;
  std::vector<Scratch> scratch_;
  std::size_t scratch_bytes_ = 0, plan_bytes_ = 0;
  Chunk spare_{};  // what a small state is written to next
  Random random_;
  std::uint64_t shots_;
  std::size_t clbit_words_;
  Branch branch_;
  std::vector<Branch> waiting_;
  std::vector<std::vector<std::uint64_t>> spare_words_;
  std::unique_ptr<BlockPass> pass_;
  std::vector<const Step*> active_;
  std::vector<std::uint32_t> guard_seen_;  // 2 × generation + whether it holds
  std::uint32_t generation_ = 1;
  bool drew_ = false;   // some outcome was drawn
  std::vector<std::uint64_t> weights_, tally_;

  std::vector<std::uint64_t> rows_, row_counts_;
  std::uint64_t ended_shots_ = 0, ended_branches_ = 0;
  double waiting_progress_ = 0;  // sum over waiting branches of shots × position
  double worst_error_ = 0, elapsed_ = 0, compiled_seconds_ = 0, work_ = 0;
  std::uint64_t size_ = 1, largest_ = 1, past_size_ = 1, middle_size_ = 1;
  std::uint32_t past_blocks_ = 0, blocks_done_ = 0;
  bool failed_ = false, done_ = false;
};

}  // namespace qrex::sparse
