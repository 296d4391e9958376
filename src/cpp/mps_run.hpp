// Runs a circuit as a matrix product state, some milliseconds at a time.
//
// All shots are followed together; where a measurement or reset in the middle is random, the state splits into
// branches, each with its share of the shots, and the branches are followed depth first. Measurements whose outcome
// nothing later depends on wait for the end, where all shots of a branch are drawn at once.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "circuit.hpp"
#include "mps_register.hpp"
#include "mps_sampling.hpp"

namespace qrex::mps {

struct Settings {
  int threads = 1;
  std::size_t memory_bytes = 0;
  Threshold threshold;             // of every decomposition
  double max_infidelity = 1e-3;    // more than this lost to the bond limit is an error
  double seconds_per_product = 5e-10;  // one multiplication while sampling, for forecasts
};

struct Progress {
  bool done = false;  // all rows are run; one branch may still be unsampled
  double fraction = 0;
  int bond = 1;
  std::size_t bytes = 0;
  double forecast = 0;
};

class MemoryLimit : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Run {
 public:
  Run(std::shared_ptr<const Circuit> circuit, const Routines& routines, const Settings& settings, std::int64_t shots,
      std::uint64_t seed);

  Progress advance(double seconds);  // runs rows; throws MemoryLimit
  bool sample(double seconds);       // after that: draws the shots that are left; whether it is done

  // Rows of ⌈classical bits / 64⌉ words, bit c being classical bit c, and how often each was seen.
  std::vector<std::uint64_t> rows;
  std::vector<std::int64_t> counts;

  double infidelity() const;
  int largest_bond() const { return largest_; }
  std::size_t updates() const { return updates_; }
  bool branched() const { return branches_ > 1; }
  std::int64_t branches() const { return branches_; }
  // Of a string of classical bits, bit 0 first; only where no random outcome split the state.
  double probability(std::span<const std::uint8_t> bits);
  std::vector<Scalar> amplitudes();  // qubit 0 least significant; small unbranched runs before sampling

 private:
  struct Branch {
    Register qubits;
    std::size_t row = 0;
    std::int64_t shots = 0;
    bool flushed = false;
    std::vector<std::uint8_t> bits;
    std::vector<std::int32_t> source;  // the wire that a classical bit is read from at the end, -1: `bits` has it
  };

  void prepare();
  void step(Branch& branch);
  void gate(Branch& branch, std::size_t row);
  void controlled(Branch& branch, std::size_t row, const Controlled& gate);
  void observe(Branch& branch, std::size_t row);  // a measurement or reset in the middle
  Partners partners(std::size_t slot) const;
  bool at_end(const Branch& branch) const { return branch.row == circuit_->size(); }
  bool sample_top(Clock::time_point deadline);
  std::size_t bytes() const;
  double forecast(double fraction);
  void note(double fraction);

  std::shared_ptr<const Circuit> circuit_;
  Settings settings_;
  std::int64_t shots_, finished_ = 0, branches_ = 1;
  std::mt19937_64 random_;
  LinearAlgebra algebra_;
  std::vector<std::size_t> start_;        // first operand of each row
  std::vector<std::int32_t> wire_, next_, row_of_;  // of each operand: wire, its next operand in a gate, row
  std::vector<std::int32_t> operands_;    // scratch
  std::vector<std::uint8_t> at_end_;      // of each row: a measurement that can wait for the end
  std::vector<std::int32_t> final_wire_;  // of each qubit
  std::vector<std::unique_ptr<Branch>> branches_open_;
  std::optional<Sampler> sampler_;
  std::optional<Branch> last_;  // kept for probabilities
  double lost_ = 0, seconds_ = 0;
  int largest_ = 1, bond_limit_ = 1 << 30;
  bool limited_ = false;
  std::size_t updates_ = 0;
  struct Mark { double fraction, seconds, log2_bond; };
  std::vector<Mark> marks_;
};

}  // namespace qrex::mps
