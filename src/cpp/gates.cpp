#include "gates.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numbers>

namespace qrex::dense {
namespace {

constexpr double kZero = 1e-12;  // five decades under float32's rounding

std::uint64_t bit(int k) { return std::uint64_t{1} << k; }

bool is_identity(const Complex* m) {
  return std::abs(m[0] - 1.0) < kZero && std::abs(m[1]) < kZero && std::abs(m[2]) < kZero && std::abs(m[3] - 1.0) < kZero;
}

double cost_of(unsigned flags, bool two) {
  // Arithmetic and the traffic between cache and registers, measured on AVX2, in sixteenths of a dense two-qubit gate.
  // Only ratios matter, and only to choose what to fuse. One-qubit gates that find others for a layer cost less.
  const bool cheap = flags & (kReal | kCross);
  if (flags & kDiagonalLow && (flags & kDiagonalHigh || !two)) return 1.0;  // it shares one sweep with its neighbors
  if (!two) return cheap ? 6.8 : 9.3;
  if (flags & (kDiagonalLow | kDiagonalHigh)) {
    if (flags & (kControlsLow | kControlsHigh)) return flags & kPermutation ? 2.6 : cheap ? 3.8 : 5.0;
    return cheap ? 7.4 : 9.8;
  }
  return flags & kReal ? 10.0 : 16.0;
}

const auto kCosts = [] {
  std::array<double, 256> costs{};
  for (unsigned flags = 0; flags < 128; ++flags) costs[flags] = cost_of(flags, false), costs[128 + flags] = cost_of(flags, true);
  return costs;
}();

}  // namespace

double modelled_cost(unsigned flags, int width) { return kCosts[(width == 2 ? 128 : 0) + flags]; }

void snap(Complex* m, int size) {
  Complex lead = 1;
  for (int c = 0; c < size; ++c)
    if (std::norm(m[c]) > 1e-12) { lead = m[c]; break; }
  const bool turned = lead.imag() != 0 || lead.real() < 0;
  const Complex back = turned ? std::conj(lead) / std::abs(lead) : Complex(1);
  for (int k = 0; k < size * size; ++k) {
    if (turned) m[k] = times(m[k], back);
    m[k] = {std::abs(m[k].real()) < kZero ? 0.0 : m[k].real(), std::abs(m[k].imag()) < kZero ? 0.0 : m[k].imag()};
  }
}

unsigned matrix_flags(const Complex* m, int size) {
  unsigned flags = kReal | kCross | kPermutation | kDiagonalLow | (size == 4 ? kDiagonalHigh : 0);
  for (int r = 0; r < size; ++r)
    for (int c = 0; c < size; ++c) {
      const Complex value = m[r * size + c];
      if (value.real() == 0 && value.imag() == 0) continue;
      const unsigned differ = r ^ c;
      if (value.imag() != 0) flags &= ~(kReal | kPermutation);
      else if (value.real() != 1) flags &= ~kPermutation;
      if ((differ == 1 || differ == 2 ? value.real() : value.imag()) != 0) flags &= ~kCross;
      flags &= ~differ;  // kDiagonalLow is bit 0 and kDiagonalHigh bit 1, as the bits of an index
    }
  if (size == 4) {
    const Complex low[4] = {m[0], m[2], m[8], m[10]}, high[4] = {m[0], m[1], m[4], m[5]};
    if (flags & kDiagonalLow && is_identity(low)) flags |= kControlsLow;
    if (flags & kDiagonalHigh && is_identity(high)) flags |= kControlsHigh;
  }
  return flags;
}

void Gates::clear() { list.clear(), entries.clear(), masks.clear(), angles.clear(), wires.clear(); }

void Gates::phase(std::uint64_t mask, double angle) {
  if (std::abs(std::remainder(angle, 2 * std::numbers::pi)) <= kZero) return;
  Gate gate{GateKind::Phases};
  gate.first = static_cast<std::uint32_t>(masks.size());
  gate.count = 1;
  gate.zed = mask;
  masks.push_back(mask);
  angles.push_back(angle);
  list.push_back(gate);
}

void Gates::one(int target, const Complex* matrix, std::uint64_t mask, std::uint64_t value, double cost) {
  if (is_identity(matrix)) return;
  Gate gate{GateKind::One};
  gate.a = static_cast<std::int8_t>(target);
  gate.values = entries.size();
  gate.dense = bit(target);
  gate.zed = gate.control_mask = mask;
  gate.control_value = value;
  gate.cost = cost;
  entries.insert(entries.end(), matrix, matrix + 4);
  list.push_back(gate);
}

void Gates::selected(const Complex* zero, const Complex* other, int selector, int target, double cost) {
  double apart = 0;
  for (int k = 0; k < 4; ++k) apart = std::max(apart, std::abs(zero[k] - other[k]));
  if (apart <= kZero) return one(target, other, 0, 0, cost);
  if (is_identity(zero)) return one(target, other, bit(selector), bit(selector), cost);
  if (is_identity(other)) return one(target, zero, bit(selector), 0, cost);
  Gate gate{GateKind::Select};
  gate.a = static_cast<std::int8_t>(selector);
  gate.b = static_cast<std::int8_t>(target);
  gate.values = entries.size();
  gate.dense = bit(target);
  gate.zed = bit(selector);
  gate.cost = cost;
  entries.insert(entries.end(), zero, zero + 4);
  entries.insert(entries.end(), other, other + 4);
  list.push_back(gate);
}

void Gates::matrix(const Complex* m, unsigned flags, int width, const int* on) {
  const double cost = modelled_cost(flags, width);
  if (width == 1) {
    if (flags & kDiagonalLow) return phase(bit(on[0]), std::arg(m[3]) - std::arg(m[0]));
    return one(on[0], m, 0, 0, cost);
  }
  if (flags & kDiagonalLow && flags & kDiagonalHigh) {
    const double p[4] = {std::arg(m[0]), std::arg(m[5]), std::arg(m[10]), std::arg(m[15])};
    const std::size_t before = list.size();
    const std::uint64_t low = bit(on[0]), high = bit(on[1]);
    phase(low, p[1] - p[0]);
    phase(high, p[2] - p[0]);
    phase(low | high, p[3] - p[2] - p[1] + p[0]);
    if (list.size() > before) {  // one gate of several terms
      for (std::size_t k = before + 1; k < list.size(); ++k) list[before].zed |= list[k].zed;
      list[before].count = static_cast<std::uint32_t>(list.size() - before);
      list.resize(before + 1);
    }
    return;
  }
  if (flags & kDiagonalLow) {
    const Complex zero[4] = {m[0], m[2], m[8], m[10]}, other[4] = {m[5], m[7], m[13], m[15]};
    return selected(zero, other, on[0], on[1], cost);
  }
  if (flags & kDiagonalHigh) {
    const Complex zero[4] = {m[0], m[1], m[4], m[5]}, other[4] = {m[10], m[11], m[14], m[15]};
    return selected(zero, other, on[1], on[0], cost);
  }
  controlled_two(on[0], on[1], m, 0, 0);
  list.back().cost = cost;
}

void Gates::controlled_two(int low, int high, const Complex* m, std::uint64_t mask, std::uint64_t value) {
  Gate gate{GateKind::Two};
  gate.a = static_cast<std::int8_t>(low);
  gate.b = static_cast<std::int8_t>(high);
  gate.values = entries.size();
  gate.dense = bit(low) | bit(high);
  gate.zed = gate.control_mask = mask;
  gate.control_value = value;
  gate.cost = 1.0 + std::ldexp(10.0, -std::popcount(mask));
  entries.insert(entries.end(), m, m + 16);
  list.push_back(gate);
}

void Gates::many(const std::vector<int>& on, const std::vector<Complex>& m) {
  Gate gate{GateKind::Many};
  gate.first = static_cast<std::uint32_t>(wires.size());
  gate.count = static_cast<std::uint32_t>(on.size());
  gate.values = entries.size();
  double nonzero = 0;
  for (const Complex& value : m) nonzero += value != 0.0;
  gate.cost = 4.0 * (1 + nonzero / std::ldexp(1.0, static_cast<int>(on.size())));
  for (const int wire : on) wires.push_back(static_cast<std::int8_t>(wire)), gate.dense |= bit(wire);
  entries.insert(entries.end(), m.begin(), m.end());
  list.push_back(gate);
}

void Gates::table(const std::vector<int>& on, const std::vector<Complex>& diagonal) {
  Gate gate{GateKind::Table};
  gate.first = static_cast<std::uint32_t>(wires.size());
  gate.count = static_cast<std::uint32_t>(on.size());
  gate.values = entries.size();
  gate.cost = 30;  // one amplitude at a time
  for (const int wire : on) wires.push_back(static_cast<std::int8_t>(wire)), gate.zed |= bit(wire);
  entries.insert(entries.end(), diagonal.begin(), diagonal.end());
  list.push_back(gate);
}

void Gates::observe(std::uint64_t flips, std::uint64_t signs) {
  Gate gate{GateKind::Observe};
  gate.dense = flips;
  gate.zed = signs & ~flips;
  list.push_back(gate);
}

}  // namespace qrex::dense
