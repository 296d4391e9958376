// A dense simulation of a program that follows branches of shots, in slices of time.
//
// All shots go together until the outcome of a measurement or reset is needed; there they are split binomially,
// and each part that is not empty goes on with its own state, from which the collapsed qubit is gone. The part
// with fewer shots goes first, so that at most log2(shots) others wait. Measurements that nothing depends on are
// sampled at once at the end. 8 B per amplitude held; gates cost one sweep in cache each.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "amplitudes.hpp"
#include "lowering.hpp"
#include "staging.hpp"

namespace qrex::dense {

class DenseRun {
 public:
  DenseRun(std::unique_ptr<Circuit> circuit, std::uint64_t shots, std::uint64_t seed, int threads,
           std::uint64_t amplitude_bytes, const BlockSizes& sizes, const KernelSet& kernels);

  // Works for about `seconds`; whether all is done. Throws std::bad_alloc where its amplitudes would take `needed_bytes`,
  // more than `amplitude_bytes`.
  bool advance(double seconds);
  double fraction() const { return fraction_ < 1 ? fraction_ : 1; }

  const std::unordered_map<std::string, std::uint64_t>& counts() const { return counts_; }
  bool collapsed() const { return collapsed_; }
  std::uint64_t needed_bytes() const { return needed_; }
  std::uint64_t gates() const { return gates_run_; }
  std::uint64_t passes() const { return passes_run_; }
  std::uint64_t branches() const { return branches_; }
  int most_wires() const { return most_wires_; }
  std::uint64_t peak_bytes() const { return peak_; }
  double norm() const { return norm_; }

  // Of the final state, where no wire was collapsed.
  const Amplitudes& state() const { return now_.state; }
  const Layout& layout() const { return now_.layout; }
  const Wiring& wiring() const { return now_.wiring; }
  // Probability of the bit string `bits` (bit 0 last): exact up to rounding.
  double probability(const std::string& bits) const;
  bool all_read() const;
  double collision_probability() const;

 private:
  struct Branch {
    std::size_t row = 0;
    std::uint64_t shots = 0;
    Wiring wiring;
    Layout layout;
    Amplitudes state;
    std::uint64_t touched = 0;  // wires that a dense gate met: the others are in |0>
  };
  void step(double seconds);
  void prepare();
  void run_blocks(double seconds);
  void collapse();
  void finish_branch();
  void require(std::uint64_t more);

  std::unique_ptr<Circuit> circuit_;
  Outlook outlook_;
  int threads_;
  std::uint64_t amplitude_bytes_;
  BlockSizes sizes_;
  const KernelSet& kernels_;
  std::uint64_t shots_;
  std::mt19937_64 random_;

  Branch now_;
  std::vector<Branch> waiting_;
  Gates gates_;
  std::vector<Pass> passes_;
  std::size_t pass_ = 0;
  std::optional<Stage> stage_;
  std::uint64_t block_ = 0, blocks_ = 0, zero_ = 0;
  double blocks_per_second_ = 0;
  Lowered lowered_{0, Stop::Full};
  std::vector<StageWorkspace> workspaces_;

  std::unordered_map<std::string, std::uint64_t> counts_;
  std::uint64_t held_ = 0, peak_ = 0, needed_ = 0, gates_run_ = 0, passes_run_ = 0, branches_ = 1;
  double fraction_ = 0, row_share_ = 0, norm_ = 1;
  int most_wires_ = 0;
  bool collapsed_ = false, done_ = false;
};

}  // namespace qrex::dense
