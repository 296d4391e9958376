#include "stage.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <stdexcept>
#include <string>

#include "parallel.hpp"

namespace qrex {
namespace {

std::uint64_t bit(int k) { return std::uint64_t{1} << k; }

// The k-th of the numbers whose set bits lie in `mask`.
std::uint64_t deposit(std::uint64_t k, std::uint64_t mask) {
  std::uint64_t out = 0;
  for (; mask; mask &= mask - 1, k >>= 1)
    if (k & 1) out |= mask & -mask;
  return out;
}

Structure structure_of(const float* c, int entries, int lanes, bool (*crossing)(int)) {
  bool real = true, cross = true;
  for (int e = 0; e < entries; ++e)
    for (int l = 0; l < lanes; ++l) {
      const float re = c[(2 * e) * lanes + l], im = c[(2 * e + 1) * lanes + l];
      real &= im == 0;
      cross &= crossing(e) ? re == 0 : im == 0;
    }
  return real ? Structure::Real : cross ? Structure::CrossImaginary : Structure::General;
}

}  // namespace

void StageWorkspace::reserve(std::size_t buffer_floats, std::size_t table_floats) {
  if (buffer_floats > buffer_size_) buffer_ = std::make_unique<AlignedFloats>(buffer_floats), buffer_size_ = buffer_floats;
  if (table_floats > table_size_) tables_ = std::make_unique<AlignedFloats>(table_floats), table_size_ = table_floats;
}

Stage::Stage(int num_qubits, std::vector<int> local, int inner_bits, const KernelSet& kernels)
    : num_qubits_(num_qubits), bits_(static_cast<int>(local.size())), chunk_bits_(0), inner_bits_(inner_bits),
      local_(std::move(local)), bit_of_(num_qubits > 0 ? num_qubits : 0, -1), local_mask_(0), kernels_(kernels) {
  if (num_qubits < 1 || num_qubits > 62) throw std::invalid_argument("a state has 1 to 62 qubits");
  for (int b = 0; b < bits_; ++b) {
    if (local_[b] < 0 || local_[b] >= num_qubits || (b && local_[b] <= local_[b - 1]))
      throw std::invalid_argument("local positions must ascend and lie in the state");
    bit_of_[local_[b]] = static_cast<std::int8_t>(b);
    local_mask_ |= bit(local_[b]);
  }
  while (chunk_bits_ < bits_ && local_[chunk_bits_] == chunk_bits_) ++chunk_bits_;
  if (chunk_bits_ < kernels.lane_bits)
    throw std::invalid_argument("the lowest " + std::to_string(kernels.lane_bits) + " positions must be local");
  if (inner_bits_ < kernels.lane_bits) inner_bits_ = kernels.lane_bits;
  piece_bits_ = std::min(chunk_bits_, kRowBits);
  skip_ = gathers() ? kRowSkip : 0;
}

int Stage::bit_of(int position) const {
  if (position < 0 || position >= num_qubits_ || bit_of_[position] < 0)
    throw std::invalid_argument("position " + std::to_string(position) + " is not local to this stage");
  return bit_of_[position];
}

std::uint64_t Stage::split(std::uint64_t mask, std::uint64_t* outer) const {
  if (mask >> num_qubits_) throw std::invalid_argument("a mask goes beyond the state");
  *outer = mask & ~local_mask_;
  std::uint64_t inside = 0;
  for (std::uint64_t rest = mask & local_mask_; rest; rest &= rest - 1) inside |= bit(bit_of_[std::countr_zero(rest)]);
  return inside;
}

void Stage::push_one(int target, const Complex* satisfied, const Complex* otherwise, std::uint64_t lane_mask,
                     std::uint64_t lane_value, MatrixOp op) {
  const int lanes = 1 << kernels_.lane_bits;
  const bool in_lanes = target < kernels_.lane_bits;
  const int entries = in_lanes ? 2 : 4;
  op.kind = OpKind::One;
  op.lane0 = static_cast<std::int8_t>(in_lanes ? target : -1);
  op.lane1 = -1;
  op.high0 = in_lanes ? 0 : bit(target);
  op.high1 = 0;
  const std::size_t start = (table_.size());
  table_.resize(start + 2 * entries * lanes);
  float* c = table_.data() + start;
  for (int l = 0; l < lanes; ++l) {
    const Complex* m = ((l ^ lane_value) & lane_mask) == 0 ? satisfied : otherwise;
    const int own = in_lanes ? (l >> target) & 1 : 0;
    for (int e = 0; e < entries; ++e) {
      const Complex value = in_lanes ? m[2 * own + (own ^ e)] : m[e];
      c[2 * e * lanes + l] = static_cast<float>(value.real());
      c[(2 * e + 1) * lanes + l] = static_cast<float>(value.imag());
    }
  }
  op.structure = in_lanes ? structure_of(c, entries, lanes, [](int e) { return e == 1; })
                          : structure_of(c, entries, lanes, [](int e) { return e == 1 || e == 2; });
  op.coefficients = start;
  if (!in_lanes && op.structure == Structure::Real) {
    bool swap = true;
    for (int l = 0; l < lanes; ++l)
      swap &= c[l] == 0 && c[2 * lanes + l] == 1 && c[4 * lanes + l] == 1 && c[6 * lanes + l] == 0;
    if (swap) op.kind = OpKind::Swap;
  }
  ops_.push_back(op);
  if (shares_visits(op) && lane_mask == 0) join_layer(satisfied);
}

void Stage::one(int target, const Complex* matrix, std::uint64_t control_mask, std::uint64_t control_value) {
  static const Complex identity[4] = {1, 0, 0, 1};
  const int t = bit_of(target);
  if (control_mask & bit(target)) throw std::invalid_argument("a qubit cannot control itself");
  MatrixOp op{};
  const std::uint64_t lanes = bit(kernels_.lane_bits) - 1;
  const std::uint64_t mask = split(control_mask, &op.outer_mask);
  const std::uint64_t value = split(control_value & control_mask, &op.outer_value);
  op.control_mask = mask & ~lanes;
  op.control_value = value & ~lanes;
  push_one(t, matrix, identity, mask & lanes, value & lanes, op);
}

void Stage::select(int selector, int target, const Complex* matrices) {
  if (selector < 0 || selector >= num_qubits_ || selector == target)
    throw std::invalid_argument("the selector must be another qubit of the state");
  const int t = bit_of(target);
  if (bit_of_[selector] >= 0 && bit_of_[selector] < kernels_.lane_bits)
    return push_one(t, matrices + 4, matrices, bit(bit_of_[selector]), bit(bit_of_[selector]), MatrixOp{});
  one(target, matrices, bit(selector), 0);
  one(target, matrices + 4, bit(selector), bit(selector));
}

void Stage::two(int q0, int q1, const Complex* matrix, std::uint64_t control_mask, std::uint64_t control_value) {
  int b[2] = {bit_of(q0), bit_of(q1)};
  if (b[0] == b[1]) throw std::invalid_argument("a two-qubit gate needs two qubits");
  // The kernels take the lower bit first.
  const bool swapped = b[0] > b[1];
  if (swapped) std::swap(b[0], b[1]);
  const int lane_bits = kernels_.lane_bits, lanes = 1 << lane_bits;
  if (control_mask & (bit(q0) | bit(q1))) throw std::invalid_argument("a qubit cannot control itself");
  const int in_lanes = (b[0] < lane_bits) + (b[1] < lane_bits);
  MatrixOp op{};
  const std::uint64_t mask = split(control_mask, &op.outer_mask);
  const std::uint64_t value = split(control_value & control_mask, &op.outer_value);
  const std::uint64_t lane_mask = mask & (lanes - 1), lane_value = value & (lanes - 1);
  op.control_mask = mask & ~lane_mask;
  op.control_value = value & ~lane_value;
  const auto turn = [&](int x) { return swapped ? ((x & 1) << 1) | (x >> 1) : x; };
  const auto entry = [&](int lane, int row, int column) -> Complex {
    if ((lane ^ lane_value) & lane_mask) return row == column ? 1 : 0;
    return matrix[4 * turn(row) + turn(column)];
  };
  op.kind = OpKind::Two;
  op.lane0 = static_cast<std::int8_t>(in_lanes >= 1 ? b[0] : -1);
  op.lane1 = static_cast<std::int8_t>(in_lanes == 2 ? b[1] : -1);
  op.high0 = in_lanes == 0 ? bit(b[0]) : in_lanes == 1 ? bit(b[1]) : 0;
  op.high1 = in_lanes == 0 ? bit(b[1]) : 0;
  const int entries = in_lanes == 0 ? 16 : in_lanes == 1 ? 8 : 4;
  std::vector<float> re(entries * lanes), im(entries * lanes);
  bool real = true;
  for (int l = 0; l < lanes; ++l)
    for (int e = 0; e < entries; ++e) {
      int row, column;
      if (in_lanes == 0) {
        row = e / 4, column = e % 4;
      } else if (in_lanes == 1) {  // entry = (high row, high column, lane flipped or not)
        const int own = (l >> b[0]) & 1;
        row = ((e / 4) << 1) | own;
        column = (((e / 2) % 2) << 1) | (own ^ (e % 2));
      } else {  // entry = which lane bits are flipped
        row = ((l >> b[0]) & 1) | (((l >> b[1]) & 1) << 1);
        column = row ^ e;
      }
      const Complex value_here = entry(l, row, column);
      re[e * lanes + l] = static_cast<float>(value_here.real());
      im[e * lanes + l] = static_cast<float>(value_here.imag());
      real &= value_here.imag() == 0;
    }
  op.structure = real ? Structure::Real : Structure::General;
  op.coefficients = table_.size();
  if (real) {
    table_.insert(table_.end(), re.begin(), re.end());
  } else {  // see `two` of the kernels
    for (const float value : im) table_.push_back(-value);
    for (std::size_t k = 0; k < re.size(); ++k) table_.push_back(re[k] + im[k]);
    for (std::size_t k = 0; k < re.size(); ++k) table_.push_back(re[k] - im[k]);
  }
  ops_.push_back(op);
}

std::uint64_t Stage::blocks(Window window, std::uint64_t zero_mask) const {
  return bit(std::popcount((bit(window.bits) - 1) & ~local_mask_ & ~zero_mask));
}

void Stage::run(float* re, float* im, int threads, std::uint64_t zero_mask) const {
  std::vector<StageWorkspace> workspaces;
  run(re, im, threads, zero_mask, 0, blocks(zero_mask), workspaces);
}

void Stage::run(float* re, float* im, int threads, Window window, std::uint64_t zero_mask, std::uint64_t first,
                std::uint64_t count, std::vector<StageWorkspace>& workspaces) const {
  const std::uint64_t free_mask = (bit(window.bits) - 1) & ~local_mask_ & ~zero_mask;
  // Too little work to pay for starting threads.
  if ((count << bits_) * (ops_.size() + 1) < (std::uint64_t{1} << 17)) threads = 1;
  const int workers = static_cast<int>(std::min<std::uint64_t>(std::max(threads, 1), count));
  if (static_cast<int>(workspaces.size()) < workers) workspaces.resize(workers);
  for (int k = 0; k < workers; ++k) {
    workspaces[k].reserve(gathers() ? 2 * plane_floats() : 0, table_floats());
    workspaces[k].linear.resize(bits_);
    workspaces[k].row_phase.resize(2 * bits_);
  }
  const std::vector<std::uint64_t> pieces = piece_offsets();
  parallel_for(count, workers, [&](int worker, std::uint64_t item) {
    const std::uint64_t base = deposit(first + item, free_mask);
    run_block(re + base, im + base, window.base | base, zero_mask, pieces, workspaces[worker]);
  });
}

std::uint64_t Stage::workspace_bytes(int threads) const {
  const std::uint64_t per_thread = (gathers() ? 8 * plane_floats() : 0) + 4 * table_floats();
  return per_thread * std::max(threads, 1) + held_bytes();
}

std::uint64_t Stage::held_bytes() const {
  std::uint64_t tables = 4 * table_.size() + sizeof(MatrixOp) * ops_.size();
  for (const Diagonal& d : diagonals_) tables += 4 * (d.columns.size() + 2 * d.rows_re.size()) + 8 * d.pairs.size();
  for (const Many& m : manies_) tables += 4 * m.coefficients.size() + 2 * m.column.size();
  for (const Lookup& t : lookups_) tables += 8 * t.re.size();
  return tables;
}

}  // namespace qrex
