#include "tier_stage.hpp"

#include <algorithm>
#include <bit>
#include <chrono>

namespace qrex::dense {
namespace {

constexpr double kSlice = 0.02;          // seconds of blocks between looks at the clock
constexpr double kFirstSlice = 1 << 21;  // gates times amplitudes before the speed of a pass is known

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace

TierStage::TierStage(const Gates& gates, const OuterStage& stage, std::uint64_t used, std::uint64_t touched,
                     const BlockSizes& sizes, const KernelSet& kernels)
    : bits_(std::max(std::popcount(stage.local), 4)), sizes_(sizes), kernels_(kernels) {
  gates_.entries = gates.entries, gates_.masks = gates.masks, gates_.angles = gates.angles, gates_.wires = gates.wires;
  for (const int k : stage.gates)
    if (gates.list[k].kind != GateKind::Observe) gates_.list.push_back(gates.list[k]);
  passes_ = plan_passes(gates_, stage.local, sizes_, layout_);
  for (const Pass& pass : passes_) {
    const std::uint64_t still = stage.local & ~touched;
    zero_.push_back(bits_ <= sizes_.block_bits ? 0 : layout_.placed(still));
    for (const int k : pass.order) touched |= gates_.list[k].dense;
  }
  for (std::uint64_t rest = used & ~stage.local; rest; rest &= rest - 1) layout_.add(std::countr_zero(rest));
}

void TierStage::begin(float* re, float* im, std::uint64_t value) {
  re_ = re, im_ = im;
  base_ = value << bits_;
  pass_ = 0;
  stage_.reset();
}

bool TierStage::advance(double seconds, int threads) {
  const double end = now() + seconds;
  while (pass_ < passes_.size()) {
    const Window window{bits_, base_};
    if (!stage_) {
      stage_.emplace(compile(gates_, passes_[pass_], layout_, sizes_, kernels_));
      block_ = 0;
      blocks_ = stage_->blocks(window, zero_[pass_]);
      blocks_per_second_ = 0;
    }
    const double left = end - now();
    if (left <= 0) return false;
    const double per_block = static_cast<double>((stage_->size() + 2) << stage_->block_bits());
    const double wanted = blocks_per_second_ > 0 ? blocks_per_second_ * std::min(left, kSlice) : kFirstSlice / per_block;
    const std::uint64_t least = 2 * static_cast<std::uint64_t>(std::max(threads, 1));
    const std::uint64_t count = std::min(blocks_ - block_, std::max(least, static_cast<std::uint64_t>(wanted)));
    const double start = now();
    stage_->run(re_, im_, threads, window, zero_[pass_], block_, count, workspaces_);
    blocks_per_second_ = static_cast<double>(count) / std::max(now() - start, 1e-9);
    block_ += count;
    if (block_ < blocks_) continue;
    stage_.reset();
    ++pass_;
  }
  return true;
}

double TierStage::fraction() const {
  if (passes_.empty() || pass_ >= passes_.size()) return 1;
  const double within = stage_ && blocks_ ? static_cast<double>(block_) / static_cast<double>(blocks_) : 0;
  return (static_cast<double>(pass_) + within) / static_cast<double>(passes_.size());
}

}  // namespace qrex::dense
