// How a stage runs on one block.
#include <algorithm>

#include "stage.hpp"

namespace qrex {
namespace {

std::uint64_t bit(int k) { return std::uint64_t{1} << k; }

}  // namespace

// A multiple of what the sets of the first-level cache cover, and the skew: equal indices of the planes differ in sets.
std::size_t Stage::plane_floats() const { return (place(bit(bits_)) + 1023) / 1024 * 1024 + kSkewFloats; }

std::vector<std::uint64_t> Stage::piece_offsets() const {
  std::vector<std::uint64_t> out;
  if (!gathers()) return out;
  const std::uint64_t high = local_mask_ & ~(bit(piece_bits_) - 1);
  std::uint64_t at = 0;
  do {
    out.push_back(at);
    at = ((at | ~high) + 1) & high;
  } while (at);
  return out;
}

void Stage::run_block(float* re, float* im, std::uint64_t base, std::uint64_t zero_mask,
                      const std::vector<std::uint64_t>& pieces, StageWorkspace& workspace) const {
  if (!gathers()) return run_gates(re, im, base, workspace);
  // What is known to be zero need not be zero in memory until it was written.
  const bool written = (zero_mask & local_mask_) == 0;
  if (written && std::none_of(ops_.begin(), ops_.end(), [&](const MatrixOp& op) { return concerns(op, base); })) return;
  const Pieces all{pieces.data(), pieces.size(), bit(piece_bits_), zero_mask, skip_};
  float *block_re = workspace.buffer(), *block_im = block_re + plane_floats();
  kernels_.gather(all, re, block_re);
  kernels_.gather(all, im, block_im);
  run_gates(block_re, block_im, base, workspace);
  kernels_.scatter(all, block_re, re);
  kernels_.scatter(all, block_im, im);
}

void Stage::run_gates(float* re, float* im, std::uint64_t base, StageWorkspace& workspace) const {
  const Space whole{bit(bits_) - 1, 0, skip_};
  const int inner = std::min(inner_bits_, bits_);
  const auto stays_inside = [&](const MatrixOp& op) {
    return op.kind < OpKind::Diagonal && ((op.high0 | op.high1 | op.high2) >> inner) == 0;
  };
  for (std::size_t first = 0; first < ops_.size();) {
    std::size_t last = first;
    while (last < ops_.size() && stays_inside(ops_[last])) ++last;
    if (last > first + 1 && inner < bits_) {  // a run of gates while each part is in the first-level cache
      for (std::uint64_t offset = 0; offset < bit(bits_); offset += bit(inner))
        for (std::size_t k = first; k < last; ++k)
          if (concerns(ops_[k], base)) kernels_.apply(ops_[k], table_.data(), re, im, {bit(inner) - 1, offset, skip_});
      first = last;
      continue;
    }
    const MatrixOp& op = ops_[first++];
    if (op.kind == OpKind::Diagonal) run_diagonal(diagonals_[op.coefficients], re, im, base, workspace);
    else if (op.kind == OpKind::Many) run_many(manies_[op.coefficients], re, im);
    else if (op.kind == OpKind::Table) run_table(lookups_[op.coefficients], re, im, base);
    else if (concerns(op, base)) kernels_.apply(op, table_.data(), re, im, whole);
  }
}

}  // namespace qrex
