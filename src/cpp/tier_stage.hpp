// One outer stage, run on its sub-states one after the other, in slices of time.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "gates.hpp"
#include "staging.hpp"
#include "tier_planning.hpp"

namespace qrex::dense {

// Local wires stand at positions 0 to bits()-1, the others above them in ascending order: sub-state v is the one whose
// upper positions read v.
class TierStage {
 public:
  TierStage(const TierStage&) = delete;
  // `touched` wires may have left |0> before this stage. Reads `gates` until it is destroyed.
  TierStage(const Gates& gates, const OuterStage& stage, std::uint64_t used, std::uint64_t touched, const BlockSizes& sizes,
            const KernelSet& kernels);

  int bits() const { return bits_; }
  const Layout& layout() const { return layout_; }
  std::size_t passes() const { return passes_.size(); }

  // Takes up sub-state `value`, whose 2^bits() amplitudes are at `re` and `im`.
  void begin(float* re, float* im, std::uint64_t value);
  // Works for about `seconds`; whether all gates have been applied.
  bool advance(double seconds, int threads);
  double fraction() const;

 private:
  Gates gates_;
  int bits_;
  BlockSizes sizes_;
  const KernelSet& kernels_;
  Layout layout_;
  std::vector<Pass> passes_;
  std::vector<std::uint64_t> zero_;  // positions that are still in |0>, per pass

  float *re_ = nullptr, *im_ = nullptr;
  std::uint64_t base_ = 0;
  std::size_t pass_ = 0;
  std::optional<Stage> stage_;
  std::uint64_t block_ = 0, blocks_ = 0;
  double blocks_per_second_ = 0;
  std::vector<StageWorkspace> workspaces_;
};

}  // namespace qrex::dense
