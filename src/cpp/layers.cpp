// One-qubit gates of a stage that run together.
#include <cmath>

#include "stage.hpp"

namespace qrex {
namespace {

// Relative to the last gate's, the scale of the first ones may not vanish; larger coefficients do no harm, since every
// sum keeps its proportions.
constexpr double kLeastDiagonal = 1e-4;

std::uint64_t bit(int k) { return std::uint64_t{1} << k; }

}  // namespace

// Whether the gate just pushed may share a visit with others: uncontrolled, above the lanes, of a structure that acts
// on two planes of reals alike.
bool Stage::shares_visits(const MatrixOp& op) const {
  return op.kind == OpKind::One && op.lane0 < 0 && op.structure != Structure::General &&
         (op.control_mask | op.outer_mask) == 0;
}

// Lets the last two operations become one where they can.
void Stage::join_layer(const Complex* matrix) {
  const MatrixOp op = ops_.back();
  Member member{op.high0, {matrix[0], matrix[1], matrix[2], matrix[3]}};
  const bool follows = !layer_.empty() && layer_end_ + 1 == ops_.size();
  const MatrixOp* before = follows ? &ops_[ops_.size() - 2] : nullptr;
  const std::uint64_t taken = follows ? before->high0 | before->high1 | before->high2 : 0;
  const auto fits = [&] {
    if (!follows || layer_.size() == 3 || before->structure != op.structure || taken & op.high0) return false;
    // A visit should stay in the first-level cache if its gates do. Blocks in one piece have no free room between
    // rows: targets that are more than a row apart fall into the same sets.
    if ((taken >> inner_bits_ == 0) != (op.high0 >> inner_bits_ == 0)) return false;
    return skip_ != 0 || taken >> kRowBits == 0 || op.high0 >> kRowBits == 0;
  };
  if (!fits()) {
    layer_.assign(1, member);
    layer_end_ = ops_.size();
    return;
  }
  layer_.push_back(member);
  ops_.pop_back();
  table_.resize(ops_.back().coefficients);
  write_layer(ops_.back());
}

void Stage::write_layer(MatrixOp& op) {
  // Rotations, with equal entries on the diagonal, can wait for their scale; the last gate brings it.
  const std::size_t last = layer_.size() - 1;
  const auto size = [](const Member& m) { return std::abs(m.matrix[0]); };
  const auto turns = [&](const Member& m) {
    return std::abs(m.matrix[0] - m.matrix[3]) < 1e-10 && size(m) > kLeastDiagonal;
  };
  for (std::size_t k = 0; k < last; ++k) {
    const bool keeps = turns(layer_[k]) && (!turns(layer_[last]) || size(layer_[k]) >= size(layer_[last]));
    if (!keeps) std::swap(layer_[k], layer_[last]);
  }
  op.kind = OpKind::Layer;
  op.scaled = true;
  for (std::size_t k = 0; k < last; ++k) op.scaled &= turns(layer_[k]);
  double scale = 1;
  std::uint64_t* high[3] = {&op.high0, &op.high1, &op.high2};
  for (std::size_t k = 0; k < layer_.size(); ++k) {
    const Complex* m = layer_[k].matrix;
    *high[k] = layer_[k].target;
    const double own = m[0].real(), factor = !op.scaled ? 1 : k < last ? 1 / own : scale;
    if (k < last) scale *= own;
    for (int e = 0; e < 4; ++e) {
      const bool crossing = op.structure == Structure::CrossImaginary && (e == 1 || e == 2);
      const double entry = crossing ? m[e].imag() : m[e].real();
      table_.insert(table_.end(), bit(kernels_.lane_bits), static_cast<float>(factor * entry));
    }
  }
}

}  // namespace qrex
