// The diagonal gates of a stage: single phases, fused sums of phases, tables of entries.
#include <algorithm>
#include <bit>
#include <cmath>
#include <stdexcept>

#include "stage.hpp"

namespace qrex {
namespace {

constexpr int kTableBits = 8;  // columns of a fused diagonal: the tables of all rows stay in the first-level cache

std::uint64_t bit(int k) { return std::uint64_t{1} << k; }

// A fused diagonal costs about two complex products per amplitude; a phase term one on 2^-k of them.
bool worth_fusing(const std::vector<std::uint64_t>& masks) {
  double separate = 0;
  for (const std::uint64_t mask : masks) separate += std::ldexp(1.0, -std::popcount(mask));
  return separate > 2.0;
}

}  // namespace

std::size_t Stage::table_floats() const { return diagonals_.empty() ? 0 : (2 * (bits_ + std::size_t{2})) << kTableBits; }

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

void Stage::run_diagonal(const Diagonal& d, float* re, float* im, std::uint64_t base, StageWorkspace& workspace) const {
  const std::size_t columns = std::size_t{1} << d.table_bits;
  const int rows = bits_ - d.table_bits;
  std::vector<double>& linear = workspace.linear;
  linear = d.linear;
  double constant = 0;
  for (const Diagonal::Outer& term : d.outer)
    if ((base & term.mask) == term.mask) (term.bit < 0 ? constant : linear[term.bit]) += term.angle;

  float* root_re = workspace.tables();
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
  block.skip = skip_;
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

void Stage::table(const std::vector<int>& positions, const Complex* diagonal) {
  Lookup t;
  for (std::size_t k = 0; k < positions.size(); ++k) {
    std::uint64_t outer;
    if (positions[k] < 0 || positions[k] >= num_qubits_) throw std::invalid_argument("a position beyond the state");
    const std::uint64_t inside = split(bit(positions[k]), &outer);
    (outer ? t.outside : t.inside).push_back({outer ? outer : inside, std::uint32_t{1} << k});
  }
  const std::size_t entries = bit(static_cast<int>(positions.size()));
  t.re.resize(entries), t.im.resize(entries);
  for (std::size_t k = 0; k < entries; ++k)
    t.re[k] = static_cast<float>(diagonal[k].real()), t.im[k] = static_cast<float>(diagonal[k].imag());
  MatrixOp op{};
  op.kind = OpKind::Table;
  op.coefficients = lookups_.size();
  lookups_.push_back(std::move(t));
  ops_.push_back(op);
}

void Stage::run_table(const Lookup& t, float* re, float* im, std::uint64_t base) const {
  std::uint32_t fixed = 0, low[64];
  for (const auto& [mask, place] : t.outside) fixed |= base & mask ? place : 0;
  const std::uint64_t step = std::min<std::uint64_t>(64, bit(bits_));
  for (std::uint64_t x = 0; x < step; ++x) {
    low[x] = 0;
    for (const auto& [mask, place] : t.inside) low[x] |= x & mask ? place : 0;
  }
  for (std::uint64_t high = 0; high < bit(bits_); high += step) {
    std::uint32_t row = fixed;
    for (const auto& [mask, place] : t.inside) row |= high & mask ? place : 0;
    for (std::uint64_t x = 0; x < step; ++x) {
      const std::uint32_t at = row | low[x];
      const std::uint64_t here = place(high) + x;
      const float r = re[here], m = im[here];
      re[here] = t.re[at] * r - t.im[at] * m;
      im[here] = t.re[at] * m + t.im[at] * r;
    }
  }
}

}  // namespace qrex
