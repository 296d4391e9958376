// Dense gates on more than two qubits in a stage.
#include <bit>
#include <stdexcept>
#include <string>

#include "stage.hpp"

namespace qrex {

// Targets above the lanes choose among 2^h vectors; targets in the lanes flip lanes within each. Row r of the
// result is a sum over (vector, flip) with one coefficient per lane; sums leave out what is zero in every lane.
void Stage::many(const std::vector<int>& positions, const Complex* matrix) {
  const int width = static_cast<int>(positions.size());
  if (width > kMaxManyQubits)
    throw std::invalid_argument("a gate on " + std::to_string(width) + " qubits: at most " + std::to_string(kMaxManyQubits));
  const std::size_t dim = std::size_t{1} << width;
  const int lanes = 1 << kernels_.lane_bits;
  std::vector<int> in_lanes, high;  // places of the gate's qubits
  Many gate;
  for (int k = 0; k < width; ++k) (bit_of(positions[k]) < kernels_.lane_bits ? in_lanes : high).push_back(k);
  const std::size_t rows = std::size_t{1} << high.size(), flips = std::size_t{1} << in_lanes.size();
  const auto row_part = [&](std::size_t row) {
    std::size_t out = 0;
    for (std::size_t j = 0; j < high.size(); ++j) out |= (row >> j & 1) << high[j];
    return out;
  };
  const auto lane_part = [&](std::size_t lane) {
    std::size_t out = 0;
    for (const int k : in_lanes) out |= (lane >> bit_of(positions[k]) & 1) << k;
    return out;
  };
  for (const int k : high) gate.targets |= std::uint64_t{1} << bit_of(positions[k]);
  for (std::size_t row = 0; row < rows; ++row) {
    std::uint64_t offset = 0;
    for (std::size_t j = 0; j < high.size(); ++j)
      if (row >> j & 1) offset |= std::uint64_t{1} << bit_of(positions[high[j]]);
    gate.offset.push_back(place(offset) >> kernels_.lane_bits);
  }
  for (std::size_t flip = 0; flip < flips; ++flip) {
    int mask = 0;
    for (std::size_t j = 0; j < in_lanes.size(); ++j)
      if (flip >> j & 1) mask |= 1 << bit_of(positions[in_lanes[j]]);
    gate.flip.push_back(mask);
  }
  gate.start.push_back(0);
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t column = 0; column < rows; ++column)
      for (std::size_t flip = 0; flip < flips; ++flip) {
        const std::size_t at = gate.coefficients.size();
        gate.coefficients.resize(at + 2 * lanes);
        bool zero = true;
        for (int lane = 0; lane < lanes; ++lane) {
          const std::size_t r = row_part(row) | lane_part(lane);
          const std::size_t c = row_part(column) | lane_part(lane ^ gate.flip[flip]);
          const Complex value = matrix[r * dim + c];
          gate.coefficients[at + lane] = static_cast<float>(value.real());
          gate.coefficients[at + lanes + lane] = static_cast<float>(value.imag());
          zero &= std::norm(value) < 1e-24;
        }
        if (zero) gate.coefficients.resize(at);
        else gate.column.push_back(static_cast<std::uint16_t>(column * flips + flip));
      }
    gate.start.push_back(static_cast<std::uint32_t>(gate.column.size()));
  }
  MatrixOp op{};
  op.kind = OpKind::Many;
  op.coefficients = manies_.size();
  manies_.push_back(std::move(gate));
  ops_.push_back(op);
}

void Stage::run_many(const Many& gate, float* re, float* im) const {
  ManyBlock block;
  block.space = {(std::uint64_t{1} << bits_) - 1, 0, skip_};
  block.rows = static_cast<int>(gate.offset.size());
  block.flips = static_cast<int>(gate.flip.size());
  block.offset = gate.offset.data();
  block.flip = gate.flip.data();
  block.start = gate.start.data();
  block.column = gate.column.data();
  block.coefficients = gate.coefficients.data();
  block.targets = gate.targets;
  kernels_.many(block, re, im);
}

}  // namespace qrex
