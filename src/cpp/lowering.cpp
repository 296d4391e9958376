#include "lowering.hpp"

#include <bit>
#include <cmath>
#include <stdexcept>
#include <string>

namespace qrex::dense {
namespace {

constexpr double kZero = 1e-12;

std::uint64_t bit(int k) { return std::uint64_t{1} << k; }
bool vanish(const Complex& a, const Complex& b) { return std::abs(a) + std::abs(b) < kZero; }

class Lowering {
 public:
  Lowering(const Circuit& circuit, Wiring& wiring, Gates& out) : circuit_(circuit), w_(wiring), out_(out), fuser_(out) {}
  void gate(std::size_t row);
  void finish() { fuser_.finish(); }

 private:
  int wire(Slot& slot);
  void controlled(const Controlled& form, std::span<const std::int32_t> qubits);
  void act(std::uint64_t mask, std::uint64_t value, int target, const Complex* matrix);
  void pair(std::size_t row, std::span<const std::int32_t> qubits);
  void exchange(std::span<const std::int32_t> qubits);
  void table(std::size_t row, std::span<const std::int32_t> qubits);
  void many(std::size_t row, std::span<const std::int32_t> qubits);
  void one(int target, Complex* matrix) {
    snap(matrix, 2);
    fuser_.one(target, matrix_flags(matrix, 2), matrix);
  }
  void two(int low, int high, Complex* matrix) {
    snap(matrix, 4);
    fuser_.two(low, high, matrix_flags(matrix, 4), matrix);
  }

  const Circuit& circuit_;
  Wiring& w_;
  Gates& out_;
  Fuser fuser_;
};

int Lowering::wire(Slot& slot) {
  if (slot.wire < 0) {
    const int next = std::countr_one(w_.used);
    if (next >= kMostWires) throw std::length_error("more qubits have amplitudes at once than an address has bits");
    w_.used |= bit(next);
    slot.wire = static_cast<std::int16_t>(next);
  }
  return slot.wire;
}

void Lowering::gate(std::size_t row) {
  const auto qubits = circuit_.qubits(row);
  switch (circuit_.op(row)) {
    case Op::kX: w_.qubits[qubits[0]].value ^= true; return;
    case Op::kSwap: std::swap(w_.qubits[qubits[0]], w_.qubits[qubits[1]]); return;
    case Op::kCswap: return exchange(qubits);
    default: break;
  }
  const Controlled form = circuit_.controlled(row);
  if (form.controls >= 0) return controlled(form, qubits);
  if (qubits.size() == 2) return pair(row, qubits);
  if (circuit_.op(row) == Op::kDiagonal) return table(row, qubits);
  many(row, qubits);
}

void Lowering::controlled(const Controlled& form, std::span<const std::int32_t> qubits) {
  std::uint64_t mask = 0, value = 0;
  for (int k = 0; k < form.controls; ++k) {
    const Slot& slot = w_.qubits[qubits[k]];
    if (slot.wire < 0) {
      if (!slot.value) return;
      continue;
    }
    mask |= bit(slot.wire);
    if (!slot.value) value |= bit(slot.wire);
  }
  Slot& target = w_.qubits[qubits[form.controls]];
  const Complex* m = form.matrix;
  if (target.wire < 0) {
    if (vanish(m[1], m[2])) {  // a phase where the controls are met, global where there are none
      if (!mask) return;
      const int place = std::countr_zero(mask);
      const Complex phase = m[target.value ? 3 : 0];
      const bool on_one = value & bit(place);
      const Complex diagonal[4] = {on_one ? 1 : phase, 0, 0, on_one ? phase : 1};
      return act(mask & (mask - 1), value & (mask - 1), place, diagonal);
    }
    if (!mask && vanish(m[0], m[3])) {
      target.value ^= true;
      return;
    }
  }
  const int on = wire(target);
  if (!target.value) return act(mask, value, on, m);
  const Complex flipped[4] = {m[3], m[2], m[1], m[0]};
  act(mask, value, on, flipped);
}

// `matrix` on a wire where (x & mask) == value.
void Lowering::act(std::uint64_t mask, std::uint64_t value, int target, const Complex* m) {
  if (mask == 0) {
    Complex alone[4] = {m[0], m[1], m[2], m[3]};
    return one(target, alone);
  }
  if (std::has_single_bit(mask)) {
    Complex both[16] = {};
    const int met = value ? 1 : 0;
    both[5 * (1 - met)] = both[5 * (1 - met) + 10] = 1;
    for (int r = 0; r < 2; ++r)
      for (int c = 0; c < 2; ++c) both[4 * (met + 2 * r) + met + 2 * c] = m[2 * r + c];
    return two(std::countr_zero(mask), target, both);
  }
  fuser_.close_all(mask | bit(target));
  if (value == mask && vanish(m[1], m[2]) && std::abs(m[0] - 1.0) < kZero)
    return out_.phase(mask | bit(target), std::arg(m[3]));
  out_.one(target, m, mask, value, 1.0 + std::ldexp(9.3, -std::popcount(mask)));
}

void Lowering::pair(std::size_t row, std::span<const std::int32_t> qubits) {
  std::vector<Complex> m = circuit_.matrix(row);
  Slot &first = w_.qubits[qubits[0]], &second = w_.qubits[qubits[1]];
  const Op op = circuit_.op(row);
  if (op == Op::kIswap || op == Op::kDcx || op == Op::kUnitary) {
    // What becomes simpler when the two exchange places first, does.
    std::vector<Complex> turned(16);
    constexpr int kOrder[4] = {0, 2, 1, 3};
    for (int k = 0; k < 16; ++k) turned[k] = m[(k & 12) + kOrder[k & 3]];
    constexpr unsigned kEither = kDiagonalLow | kDiagonalHigh;
    if (!(matrix_flags(m.data(), 4) & kEither) && matrix_flags(turned.data(), 4) & kEither) {
      std::swap(first, second);
      m.swap(turned);
    }
  }
  const int flips = first.value | second.value << 1;
  Complex turned[16];
  for (int r = 0; r < 4; ++r)
    for (int c = 0; c < 4; ++c) turned[4 * r + c] = m[4 * (r ^ flips) + (c ^ flips)];
  const unsigned flags = matrix_flags(turned, 4);
  for (int place = 0; place < 2; ++place) {  // diagonal on a qubit that is known: only one half acts
    Slot &known = place ? second : first, &other = place ? first : second;
    if (known.wire >= 0 || !(flags & (place ? kDiagonalHigh : kDiagonalLow))) continue;
    const int step = place ? 1 : 2;
    Complex half[4] = {turned[0], turned[step], turned[4 * step], turned[5 * step]};
    if (other.wire < 0 && vanish(half[1], half[2])) return;
    return one(wire(other), half);
  }
  const int low = wire(first), high = wire(second);
  two(low, high, turned);
}

void Lowering::exchange(std::span<const std::int32_t> qubits) {
  const Slot control = w_.qubits[qubits[0]];
  Slot &a = w_.qubits[qubits[1]], &b = w_.qubits[qubits[2]];
  if (control.wire < 0) {
    if (control.value) std::swap(a, b);
    return;
  }
  if (a.wire < 0 && b.wire < 0 && a.value == b.value) return;
  const int low = wire(a), high = wire(b);
  Complex m[16] = {};
  if (a.value == b.value) m[0] = m[6] = m[9] = m[15] = 1;
  else m[3] = m[5] = m[10] = m[12] = 1;
  const std::uint64_t mask = bit(control.wire);
  fuser_.close_all(mask | bit(low) | bit(high));
  out_.controlled_two(low, high, m, mask, control.value ? 0 : mask);
}

void Lowering::table(std::size_t row, std::span<const std::int32_t> qubits) {
  const auto params = circuit_.params(row);
  if (params.size() != std::size_t{2} << qubits.size()) throw std::invalid_argument("a diagonal row has 2^k entries");
  std::vector<int> on;
  std::size_t flips = 0;
  std::vector<std::size_t> place;
  for (std::size_t k = 0; k < qubits.size(); ++k) {
    const Slot& slot = w_.qubits[qubits[k]];
    if (slot.value) flips |= std::size_t{1} << k;  // of a known qubit: its value
    if (slot.wire < 0) continue;
    on.push_back(slot.wire);
    place.push_back(std::size_t{1} << k);
  }
  std::vector<Complex> entries(std::size_t{1} << on.size());
  for (std::size_t x = 0; x < entries.size(); ++x) {
    std::size_t at = flips;
    for (std::size_t k = 0; k < on.size(); ++k)
      if (x >> k & 1) at ^= place[k];
    entries[x] = {params[2 * at], params[2 * at + 1]};
  }
  if (on.empty()) return;
  if (on.size() == 1) {
    Complex m[4] = {entries[0], 0, 0, entries[1]};
    return one(on[0], m);
  }
  if (on.size() == 2) {
    Complex m[16] = {};
    for (int k = 0; k < 4; ++k) m[5 * k] = entries[k];
    return two(on[0], on[1], m);
  }
  for (const int wire : on) fuser_.close_all(bit(wire));
  out_.table(on, entries);
}

void Lowering::many(std::size_t row, std::span<const std::int32_t> qubits) {
  if (qubits.size() > kWidestUnitary)
    throw std::invalid_argument("a matrix on " + std::to_string(qubits.size()) + " qubits: at most " +
                                std::to_string(kWidestUnitary) + " are possible");
  std::vector<Complex> m = circuit_.matrix(row);
  std::vector<int> on(qubits.begin(), qubits.end());
  std::size_t size = std::size_t{1} << on.size(), flips = 0, dense = 0;
  for (std::size_t k = 0; k < on.size(); ++k)
    if (w_.qubits[on[k]].value) flips |= std::size_t{1} << k;
  std::vector<Complex> turned(m.size());
  for (std::size_t r = 0; r < size; ++r)
    for (std::size_t c = 0; c < size; ++c) {
      turned[r * size + c] = m[(r ^ flips) * size + (c ^ flips)];
      if (std::norm(turned[r * size + c]) > kZero * kZero) dense |= r ^ c;
    }
  m.swap(turned);
  for (std::size_t k = on.size(); k-- > 0;) {  // diagonal on a qubit that is known: only one block acts
    if (w_.qubits[on[k]].wire >= 0 || dense >> k & 1) continue;
    const std::size_t low = (std::size_t{1} << k) - 1, half = size / 2;
    turned.resize(half * half);
    for (std::size_t r = 0; r < half; ++r)
      for (std::size_t c = 0; c < half; ++c)
        turned[r * half + c] = m[((r & ~low) << 1 | (r & low)) * size + ((c & ~low) << 1 | (c & low))];
    m.swap(turned);
    size = half;
    dense = (dense & ~low) >> 1 | (dense & low);
    on.erase(on.begin() + static_cast<std::ptrdiff_t>(k));
  }
  for (int& qubit : on) qubit = wire(w_.qubits[qubit]);
  if (on.empty()) return;
  if (on.size() == 1) return one(on[0], m.data());
  if (on.size() == 2) return two(on[0], on[1], m.data());
  for (const int wire : on) fuser_.close_all(bit(wire));
  if (dense == 0) {
    std::vector<Complex> diagonal(size);
    for (std::size_t x = 0; x < size; ++x) diagonal[x] = m[x * size + x];
    return out_.table(on, diagonal);
  }
  if (!std::has_single_bit(dense)) return out_.many(on, m);
  // Diagonal on all but one: a gate on that one for each value of the others.
  const int place = std::countr_zero(dense);
  std::uint64_t mask = 0;
  for (std::size_t k = 0; k < on.size(); ++k)
    if (static_cast<int>(k) != place) mask |= bit(on[k]);
  for (std::size_t x = 0; x < size; ++x) {
    if (x & dense) continue;
    std::uint64_t value = 0;
    for (std::size_t k = 0; k < on.size(); ++k)
      if (x >> k & 1) value |= bit(on[k]);
    const std::size_t y = x | dense;
    const Complex part[4] = {m[x * size + x], m[x * size + y], m[y * size + x], m[y * size + y]};
    out_.one(on[place], part, mask, value, 1.0 + std::ldexp(9.3, -std::popcount(mask)));
  }
}

}  // namespace

void Wiring::settle(int wire, bool outcome) {
  for (std::vector<Slot>* slots : {&qubits, &bits})
    for (Slot& slot : *slots)
      if (slot.wire == wire) slot = {-1, slot.value != outcome};
  used &= ~bit(wire);
}

Lowered lower(const Circuit& circuit, const Outlook& outlook, Wiring& wiring, std::size_t row, std::size_t limit,
              Gates& gates) {
  Lowering lowering(circuit, wiring, gates);
  Stop stop = Stop::End;
  for (; row < circuit.size(); ++row) {
    if (gates.list.size() >= limit) { stop = Stop::Full; break; }
    if (circuit.guard(row) >= 0 && !circuit.holds(circuit.guard(row), [&](int c) { return wiring.bits[c].value; })) continue;
    const Op op = circuit.op(row);
    if (op == Op::kMeasure || op == Op::kReset) {
      Slot& slot = wiring.qubits[circuit.qubits(row)[0]];
      const bool free = slot.wire < 0 || (op == Op::kMeasure ? outlook.deferred[row] : outlook.abandoned[row]);
      if (!free) { stop = Stop::Collapse; break; }
      if (op == Op::kMeasure) wiring.bits[circuit.clbit(row)] = slot;
      else slot = Slot{};
      continue;
    }
    lowering.gate(row);
  }
  lowering.finish();
  return {row, stop};
}

}  // namespace qrex::dense
