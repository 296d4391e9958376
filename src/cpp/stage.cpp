#include "stage.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>

#include "memory.hpp"
#include "parallel.hpp"

namespace qrex {
namespace {

constexpr int kTableBits = 8;  // columns of a fused diagonal: the tables of all rows stay in the first-level cache

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

// A fused diagonal costs about two complex products per amplitude; a phase term one on 2^-k of them.
bool worth_fusing(const std::vector<std::uint64_t>& masks) {
  double separate = 0;
  for (const std::uint64_t mask : masks) separate += std::ldexp(1.0, -std::popcount(mask));
  return separate > 2.0;
}

}  // namespace

struct Stage::Workspace {
  explicit Workspace(const Stage& stage, bool gather)
      : buffer(gather ? 2 * bit(stage.bits_) + kSkewFloats : 0),
        tables(stage.diagonals_.empty() ? 0 : (2 * (stage.bits_ + 2)) << kTableBits),
        linear(stage.bits_), row_phase(2 * stage.bits_) {}
  AlignedFloats buffer, tables;
  std::vector<double> linear, row_phase;
};

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

void Stage::two(int q0, int q1, const Complex* matrix) {
  int b[2] = {bit_of(q0), bit_of(q1)};
  if (b[0] == b[1]) throw std::invalid_argument("a two-qubit gate needs two qubits");
  // The kernels take the lower bit first.
  const bool swapped = b[0] > b[1];
  if (swapped) std::swap(b[0], b[1]);
  const auto entry = [&](int row, int column) {
    const auto turn = [&](int x) { return swapped ? ((x & 1) << 1) | (x >> 1) : x; };
    return matrix[4 * turn(row) + turn(column)];
  };
  const int lane_bits = kernels_.lane_bits, lanes = 1 << lane_bits;
  const int in_lanes = (b[0] < lane_bits) + (b[1] < lane_bits);
  MatrixOp op{};
  op.kind = OpKind::Two;
  op.lane0 = static_cast<std::int8_t>(in_lanes >= 1 ? b[0] : -1);
  op.lane1 = static_cast<std::int8_t>(in_lanes == 2 ? b[1] : -1);
  op.high0 = in_lanes == 0 ? bit(b[0]) : in_lanes == 1 ? bit(b[1]) : 0;
  op.high1 = in_lanes == 0 ? bit(b[1]) : 0;
  const int entries = in_lanes == 0 ? 16 : in_lanes == 1 ? 8 : 4;
  op.coefficients = table_.size();
  table_.resize(op.coefficients + 2 * entries * lanes);
  float* c = table_.data() + op.coefficients;
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
      c[2 * e * lanes + l] = static_cast<float>(entry(row, column).real());
      c[(2 * e + 1) * lanes + l] = static_cast<float>(entry(row, column).imag());
    }
  op.structure = structure_of(c, entries, lanes, [](int) { return true; });
  if (op.structure == Structure::CrossImaginary) op.structure = Structure::General;
  ops_.push_back(op);
}

void Stage::push_phase(std::uint64_t mask, double angle) {
  MatrixOp op{};
  op.kind = OpKind::Phase;
  op.lane0 = op.lane1 = -1;
  const int lanes = 1 << kernels_.lane_bits;
  const std::uint64_t inside = split(mask, &op.outer_mask);
  op.outer_value = op.outer_mask;
  op.control_mask = op.control_value = inside & ~static_cast<std::uint64_t>(lanes - 1);
  op.coefficients = table_.size();
  table_.resize(op.coefficients + 2 * lanes);
  const std::uint64_t lane_mask = inside & (lanes - 1);
  for (int l = 0; l < lanes; ++l) {
    const bool met = (l & lane_mask) == lane_mask;
    table_[op.coefficients + l] = met ? static_cast<float>(std::cos(angle)) : 1.0F;
    table_[op.coefficients + lanes + l] = met ? static_cast<float>(std::sin(angle)) : 0.0F;
  }
  ops_.push_back(op);
}

void Stage::diagonal(const std::vector<std::uint64_t>& masks, const std::vector<double>& angles) {
  if (masks.size() != angles.size()) throw std::invalid_argument("one angle per mask");
  std::vector<std::uint64_t> low;
  for (std::size_t k = 0; k < masks.size(); ++k) {
    if (masks[k] == 0 || masks[k] >> num_qubits_) throw std::invalid_argument("a mask is empty or goes beyond the state");
    if (std::popcount(masks[k]) <= 2) low.push_back(masks[k]);
  }
  const bool fuse = worth_fusing(low);
  for (std::size_t k = 0; k < masks.size(); ++k)
    if (!fuse || std::popcount(masks[k]) > 2) push_phase(masks[k], angles[k]);
  if (!fuse) return;

  Diagonal d;
  d.table_bits = std::max(kernels_.lane_bits, std::min(kTableBits, bits_));
  const int rows = bits_ - d.table_bits;
  const std::size_t columns = std::size_t{1} << d.table_bits;
  d.linear.assign(bits_, 0.0);
  std::vector<double> quadratic(bits_ * bits_, 0.0);
  for (std::size_t k = 0; k < masks.size(); ++k) {
    if (std::popcount(masks[k]) > 2) continue;
    std::uint64_t outer;
    const std::uint64_t inside = split(masks[k], &outer);
    if (outer) {
      d.outer.push_back({outer, inside ? std::countr_zero(inside) : -1, angles[k]});
    } else if (std::popcount(inside) == 1) {
      d.linear[std::countr_zero(inside)] += angles[k];
    } else {
      const int a = std::countr_zero(inside), b = std::countr_zero(inside & (inside - 1));
      quadratic[a * bits_ + b] += angles[k];
      quadratic[b * bits_ + a] += angles[k];
    }
  }
  // Angles of the columns by doubling: entry x + 2^b is entry x, and what bit b brings.
  std::vector<double> angle(columns, 0.0);
  const auto fill = [&](auto&& brings) {
    angle[0] = 0;
    for (int b = 0; b < d.table_bits; ++b)
      for (std::size_t x = 0; x < bit(b); ++x) angle[x + bit(b)] = angle[x] + brings(b, x);
  };
  fill([&](int b, std::size_t x) {
    double sum = 0;
    for (std::size_t rest = x; rest; rest &= rest - 1) sum += quadratic[b * bits_ + std::countr_zero(rest)];
    return sum;
  });
  d.columns_trivial = true;
  d.columns.resize(2 * columns);
  for (std::size_t x = 0; x < columns; ++x) {
    d.columns_trivial &= angle[x] == 0;
    d.columns[x] = static_cast<float>(std::cos(angle[x]));
    d.columns[columns + x] = static_cast<float>(std::sin(angle[x]));
  }
  d.rows_re.resize(rows * columns);
  d.rows_im.resize(rows * columns);
  d.pairs.resize(2 * rows * rows);
  for (int j = 0; j < rows; ++j) {
    const double* to = &quadratic[(d.table_bits + j) * bits_];
    fill([&](int b, std::size_t) { return to[b]; });
    bool flat = true;
    for (std::size_t x = 0; x < columns; ++x) {
      flat &= angle[x] == 0;
      d.rows_re[j * columns + x] = static_cast<float>(std::cos(angle[x]));
      d.rows_im[j * columns + x] = static_cast<float>(std::sin(angle[x]));
    }
    d.row_flat.push_back(flat);
    for (int k = 0; k < rows; ++k) {
      d.pairs[2 * (j * rows + k)] = std::cos(to[d.table_bits + k]);
      d.pairs[2 * (j * rows + k) + 1] = std::sin(to[d.table_bits + k]);
    }
  }
  MatrixOp op{};
  op.kind = OpKind::Diagonal;
  op.lane0 = op.lane1 = -1;
  op.coefficients = diagonals_.size();
  diagonals_.push_back(std::move(d));
  ops_.push_back(op);
}

void Stage::run_diagonal(const Diagonal& d, float* re, float* im, std::uint64_t base, Workspace& workspace) const {
  const std::size_t columns = std::size_t{1} << d.table_bits;
  const int rows = bits_ - d.table_bits;
  std::vector<double>& linear = workspace.linear;
  linear = d.linear;
  double constant = 0;
  for (const Diagonal::Outer& term : d.outer)
    if ((base & term.mask) == term.mask) (term.bit < 0 ? constant : linear[term.bit]) += term.angle;

  float* root_re = workspace.tables.data();
  float* root_im = root_re + columns;
  bool trivial = constant == 0;
  root_re[0] = static_cast<float>(std::cos(constant));
  root_im[0] = static_cast<float>(std::sin(constant));
  for (int b = 0; b < d.table_bits; ++b) {
    const std::size_t half = bit(b);
    trivial &= linear[b] == 0;
    const float c = static_cast<float>(std::cos(linear[b])), s = static_cast<float>(std::sin(linear[b]));
    for (std::size_t x = 0; x < half; ++x) {
      root_re[half + x] = c * root_re[x] - s * root_im[x];
      root_im[half + x] = c * root_im[x] + s * root_re[x];
    }
  }
  if (!d.columns_trivial)
    for (std::size_t x = 0; x < columns; ++x) {
      const float r = root_re[x], i = root_im[x];
      root_re[x] = r * d.columns[x] - i * d.columns[columns + x];
      root_im[x] = i * d.columns[x] + r * d.columns[columns + x];
    }
  for (int j = 0; j < rows; ++j) {
    const double angle = linear[d.table_bits + j];
    workspace.row_phase[2 * j] = angle == 0 ? 1.0 : std::cos(angle);
    workspace.row_phase[2 * j + 1] = angle == 0 ? 0.0 : std::sin(angle);
  }
  DiagonalBlock block;
  block.table_bits = d.table_bits;
  block.row_bits = rows;
  block.root_re = root_re;
  block.root_im = root_im;
  block.rows_re = d.rows_re.data();
  block.rows_im = d.rows_im.data();
  block.row_phase = workspace.row_phase.data();
  block.pair_phase = d.pairs.data();
  block.row_flat = d.row_flat.data();
  block.root_trivial = trivial && d.columns_trivial;
  block.scratch = root_im + columns;
  kernels_.diagonal(block, re, im);
}

void Stage::run_block(float* re, float* im, std::uint64_t base, Workspace& workspace) const {
  const int inner = std::min(inner_bits_, bits_);
  const auto met = [&](const MatrixOp& op) { return ((base ^ op.outer_value) & op.outer_mask) == 0; };
  const auto stays_inside = [&](const MatrixOp& op) {
    return op.kind != OpKind::Diagonal && ((op.high0 | op.high1) >> inner) == 0;
  };
  for (std::size_t first = 0; first < ops_.size();) {
    std::size_t last = first;
    while (last < ops_.size() && stays_inside(ops_[last])) ++last;
    if (last > first + 1 && inner < bits_) {  // a run of gates while each sub-block is in the first-level cache
      for (std::uint64_t offset = 0; offset < bit(bits_); offset += bit(inner))
        for (std::size_t k = first; k < last; ++k)
          if (met(ops_[k])) kernels_.apply(ops_[k], table_.data(), re + offset, im + offset, inner, offset);
      first = last;
      continue;
    }
    const MatrixOp& op = ops_[first++];
    if (op.kind == OpKind::Diagonal)
      run_diagonal(diagonals_[op.coefficients], re, im, base, workspace);
    else if (met(op))
      kernels_.apply(op, table_.data(), re, im, bits_, 0);
  }
}

void Stage::run(float* re, float* im, int threads, std::uint64_t zero_mask) const {
  const std::uint64_t free_mask = (bit(num_qubits_) - 1) & ~local_mask_ & ~zero_mask;
  const std::uint64_t blocks = bit(std::popcount(free_mask));
  const bool gather = chunk_bits_ != bits_;
  const std::size_t chunk = std::size_t{1} << chunk_bits_;
  std::vector<std::uint64_t> chunk_offset(bit(bits_ - chunk_bits_));
  const std::uint64_t high_local = local_mask_ & ~(chunk - 1);
  for (std::size_t k = 0; k < chunk_offset.size(); ++k) chunk_offset[k] = deposit(k, high_local);
  // Too little work to pay for starting threads.
  if ((blocks << bits_) * (ops_.size() + 1) < (std::uint64_t{1} << 17)) threads = 1;
  const int workers = static_cast<int>(std::min<std::uint64_t>(std::max(threads, 1), blocks));
  std::vector<Workspace> workspaces;
  for (int k = 0; k < workers; ++k) workspaces.emplace_back(*this, gather);
  parallel_for(blocks, workers, [&](int worker, std::uint64_t item) {
    const std::uint64_t base = deposit(item, free_mask);
    Workspace& workspace = workspaces[worker];
    if (!gather) return run_block(re + base, im + base, base, workspace);
    float* buffer_re = workspace.buffer.data();
    float* buffer_im = buffer_re + bit(bits_) + kSkewFloats;
    for (std::size_t k = 0; k < chunk_offset.size(); ++k) {
      std::memcpy(buffer_re + k * chunk, re + base + chunk_offset[k], chunk * sizeof(float));
      std::memcpy(buffer_im + k * chunk, im + base + chunk_offset[k], chunk * sizeof(float));
    }
    run_block(buffer_re, buffer_im, base, workspace);
    for (std::size_t k = 0; k < chunk_offset.size(); ++k) {
      std::memcpy(re + base + chunk_offset[k], buffer_re + k * chunk, chunk * sizeof(float));
      std::memcpy(im + base + chunk_offset[k], buffer_im + k * chunk, chunk * sizeof(float));
    }
  });
}

std::uint64_t Stage::workspace_bytes(int threads) const {
  const std::uint64_t per_thread = (chunk_bits_ != bits_ ? 8 * bit(bits_) : 0) +
                                   (diagonals_.empty() ? 0 : (8 * (bits_ + 2)) << kTableBits);
  std::uint64_t tables = 4 * table_.size() + sizeof(MatrixOp) * ops_.size();
  for (const Diagonal& d : diagonals_) tables += 4 * (d.columns.size() + 2 * d.rows_re.size()) + 8 * d.pairs.size();
  return per_thread * std::max(threads, 1) + tables;
}

}  // namespace qrex
