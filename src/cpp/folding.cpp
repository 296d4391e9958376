#include "folding.hpp"

#include <algorithm>
#include <cmath>

namespace qrex {
namespace {

constexpr int kAlways = -1, kNever = -2;
constexpr int kWidestSplit = 6;

Matrix2 matrix2(const Amplitude* m) { return {m[0], m[1], m[2], m[3]}; }
bool near(Amplitude a, Amplitude b) { return is_tiny(a - b); }

}  // namespace

Folding::Folding(const Rows& rows, const std::vector<Guard>& guards_in, int num_qubits, int num_clbits, bool relabel)
    : bit(num_clbits, 0), in_(rows), guards_in_(guards_in), relabel_(relabel), place_(num_qubits), state_(num_qubits),
      live_(num_qubits, 0), volatile_(num_clbits, 0), last_(num_qubits), resolved_(guards_in.size(), {-1, 0}) {
  for (int q = 0; q < num_qubits; ++q) place_[q] = q;
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (rows.guard[i] >= 0 && rows.clbit[i] >= 0) volatile_[rows.clbit[i]] = 1;
  out.opcode.reserve(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) read(rows[i]);
  tidy();
}

// Takes out the rows that were merged into others and puts the changed ones in their places.
void Folding::tidy() {
  if (!merged_) return;
  Rows rows;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (dropped_[i]) continue;
    Row row = out[i];
    if (const auto changed = changed_.find(static_cast<int>(i)); changed != changed_.end()) {
      row.op = changed->second.op, row.qubits = changed->second.qubits, row.params = changed->second.params;
    }
    rows.add(row);
  }
  out = std::move(rows);
}

void Folding::read(const Row& row) {
  Row now = row;
  if (row.guard >= 0) {
    now.guard = current_guard(row.guard);
    if (now.guard == kNever) return;
  }
  if (row.op == Op::kMeasure) measure(now, now.guard);
  else if (row.op == Op::kReset) reset(row.qubits[0], now.guard);
  else gate(now);
}

int Folding::current_guard(int guard) {
  auto& [version, result] = resolved_[guard];
  if (version == version_) return result;
  version = version_;
  Guard rest;
  switch (resolve(guards_in_[guard], [this](int c) { return bit[c]; }, rest)) {
    case Holds::kNever: return result = kNever;
    case Holds::kAlways: return result = kAlways;
    case Holds::kDepends: break;
  }
  const auto [found, added] = guard_ids_.try_emplace(rest, static_cast<int>(guards.size()));
  if (added) guards.push_back(std::move(rest));
  return result = found->second;
}

void Folding::gate(const Row& row) {
  const auto q = row.qubits;
  const int guard = row.guard;
  switch (row.op) {
    case Op::kSwap: return swap(q[0], q[1], guard, &row);
    case Op::kIswap:
      if (guard < 0 && relabel_) {
        const Matrix2 s{1, 0, 0, Amplitude{0, 1}};
        one(q[0], s, guard), one(q[1], s, guard);
        phase(q, -1, guard);
        return swap(q[0], q[1], guard);
      }
      break;
    case Op::kDcx:  // two CX are a swap and one CX
      if (guard < 0 && relabel_) {
        swap(q[0], q[1], guard);
        return controlled(q.first(1), q[1], {0, 1, 1, 0}, guard);
      }
      break;
    case Op::kCswap:
      if (basis(q[0]) == 0) return;
      if (basis(q[0]) == 1) return swap(q[1], q[2], guard);
      if (!live(q[1]) && !live(q[2]) && same_state(state(q[1]), state(q[2]))) return;
      return emit(row.op, q, row.params, guard);
    case Op::kDiagonal:
      if (q.size() > 1) {
        std::vector<Amplitude> entries(row.params.size() / 2);
        for (std::size_t k = 0; k < entries.size(); ++k) entries[k] = {row.params[2 * k], row.params[2 * k + 1]};
        return diagonal(q, entries, guard, &row);
      }
      break;
    default: break;
  }
  const Controlled simple = controlled_gate(row.op, row.width(), row.params);
  if (simple.controls == 0) return one(q[0], matrix2(simple.matrix), guard, &row);
  if (simple.controls > 0) return controlled(q.first(simple.controls), q.back(), matrix2(simple.matrix), guard, &row);
  const bool all_live = std::all_of(q.begin(), q.end(), [this](int k) { return live(k); });
  if (all_live || q.size() > kWidestSplit) return emit(row.op, q, row.params, guard);
  const std::vector<Amplitude> m = gate_matrix(row.op, row.width(), row.params);
  if (q.size() == 2) return two(q[0], q[1], m.data(), guard, &row);
  many(q, m, guard, &row);
}

void Folding::one(int q, const Matrix2& u, int guard, const Row* as) {
  if (is_scalar(u.data())) return;
  Amplitude value;
  if (!live(q)) {
    if (guard < 0) { state(q) = applied(u, state(q)); return; }
    if (is_eigenstate(u, state(q), value)) return;
    prepare(q);
  }
  emit_one(q, u, guard, as);
}

void Folding::controlled(Qubits controls, int target, const Matrix2& u, int guard, const Row* as) {
  std::vector<std::int32_t> kept;
  for (const int c : controls) {
    const int known = basis(c);
    if (known == 0) return;
    if (known < 0) kept.push_back(c);
  }
  if (is_scalar(u.data())) return phase(kept, u[0], guard);
  Amplitude value;
  if (!live(target) && is_eigenstate(u, state(target), value)) return phase(kept, value, guard);
  if (kept.empty()) return one(target, u, guard);
  const bool whole = as && kept.size() == controls.size();
  kept.push_back(target);
  if (is_diagonal(u.data()) && near(u[0], 1)) return phase(kept, u[3], guard, whole ? as : nullptr);
  if (whole) return emit(as->op, as->qubits, as->params, guard);
  const NamedRow named = name_controlled(static_cast<int>(kept.size()), u);
  emit(named.op, kept, named.params, guard);
}

void Folding::phase(Qubits qubits, Amplitude value, int guard, const Row* as) {
  const double angle = std::arg(value);
  if (std::abs(angle) < kTiny) return;
  std::vector<std::int32_t> kept;
  for (const int q : qubits) {
    const int known = basis(q);
    if (known == 0) return;
    if (known < 0) kept.push_back(q);
  }
  if (kept.empty()) return;
  if (kept.size() == 1) return one(kept[0], {1, 0, 0, value}, guard);
  if (as && kept.size() == qubits.size()) return emit(as->op, as->qubits, as->params, guard);
  const NamedRow named = name_controlled(static_cast<int>(kept.size()), {1, 0, 0, value});
  emit(named.op, kept, named.params, guard);
}

// The matrix of a gate whose qubit k enters in state `in` may be a product: |out⟩ on that qubit, a unitary on the rest.
bool Folding::split(int k, int width, const Amplitude* m, const Pure& in, Pure& out,
                    std::vector<Amplitude>& rest) const {
  const std::size_t dim = std::size_t{1} << width, half = dim / 2, low = (std::size_t{1} << k) - 1;
  const auto with = [&](std::size_t x, std::size_t value) { return (x & low) | value << k | (x & ~low) << 1; };
  std::vector<Amplitude> part[2];
  double norm[2] = {};
  for (std::size_t value = 0; value < 2; ++value) {
    part[value].resize(half * half);
    for (std::size_t r = 0; r < half; ++r)
      for (std::size_t c = 0; c < half; ++c) {
        const std::size_t row = with(r, value) * dim;
        part[value][r * half + c] = m[row + with(c, 0)] * in.zero + m[row + with(c, 1)] * in.one;
        norm[value] += std::norm(part[value][r * half + c]);
      }
  }
  const int large = norm[1] > norm[0];
  std::size_t pivot = 0;
  for (std::size_t x = 1; x < half * half; ++x)
    if (std::norm(part[large][x]) > std::norm(part[large][pivot])) pivot = x;
  const Amplitude ratio = part[1 - large][pivot] / part[large][pivot];
  for (std::size_t x = 0; x < half * half; ++x)
    if (!near(part[1 - large][x], ratio * part[large][x])) return false;
  const double scale = std::sqrt(1 + std::norm(ratio));
  const Amplitude big = 1 / scale, small = ratio / scale;
  out = applied({1, 0, 0, 1}, large ? Pure{small, big} : Pure{big, small});
  rest = std::move(part[large]);
  for (Amplitude& entry : rest) entry *= scale;
  return true;
}

void Folding::two(int q0, int q1, const Amplitude* m, int guard, const Row* as) {
  const std::int32_t qubits[2] = {q0, q1};
  if (guard < 0 && !live(q0) && !live(q1)) {
    const Pure s0 = state(q0), s1 = state(q1);
    const Amplitude in[4] = {s1.zero * s0.zero, s1.zero * s0.one, s1.one * s0.zero, s1.one * s0.one};
    Amplitude v[4] = {};
    for (int r = 0; r < 4; ++r)
      for (int c = 0; c < 4; ++c) v[r] += m[r * 4 + c] * in[c];
    if (near(v[0] * v[3], v[1] * v[2])) {
      const int r = std::norm(v[2]) + std::norm(v[3]) > std::norm(v[0]) + std::norm(v[1]) ? 2 : 0;
      const int c = std::norm(v[1]) + std::norm(v[3]) > std::norm(v[0]) + std::norm(v[2]) ? 1 : 0;
      const Matrix2 identity{1, 0, 0, 1};
      state(q0) = applied(identity, {v[r], v[r + 1]});
      state(q1) = applied(identity, {v[c], v[c + 2]});
      return;
    }
  } else {
    for (int k = 0; k < 2; ++k) {
      Pure after;
      std::vector<Amplitude> rest;
      if (live(qubits[k]) || !split(k, 2, m, state(qubits[k]), after, rest)) continue;
      if (guard >= 0 && !same_state(after, state(qubits[k]))) continue;
      if (guard < 0) state(qubits[k]) = after;
      return one(qubits[1 - k], matrix2(rest.data()), guard);
    }
  }
  if (as) return emit(as->op, as->qubits, as->params, guard);
  bool all_diagonal = true;
  for (int x = 0; x < 16; ++x) all_diagonal &= x % 5 == 0 || m[x] == 0.0;
  if (all_diagonal) {
    const double entries[8] = {m[0].real(), m[0].imag(), m[5].real(), m[5].imag(),
                               m[10].real(), m[10].imag(), m[15].real(), m[15].imag()};
    return emit(Op::kDiagonal, qubits, entries, guard);
  }
  std::vector<double> params(32);
  for (int x = 0; x < 16; ++x) params[2 * x] = m[x].real(), params[2 * x + 1] = m[x].imag();
  emit(Op::kUnitary, qubits, params, guard);
}

void Folding::diagonal(Qubits qubits, const std::vector<Amplitude>& entries, int guard, const Row* as) {
  std::vector<std::int32_t> kept;
  std::size_t fixed = 0;
  std::vector<std::size_t> places;
  for (std::size_t k = 0; k < qubits.size(); ++k) {
    const int known = basis(qubits[k]);
    if (known == 1) fixed |= std::size_t{1} << k;
    if (known < 0) kept.push_back(qubits[k]), places.push_back(k);
  }
  std::vector<Amplitude> left(std::size_t{1} << kept.size());
  bool constant = true;
  for (std::size_t x = 0; x < left.size(); ++x) {
    std::size_t index = fixed;
    for (std::size_t k = 0; k < kept.size(); ++k) index |= (x >> k & 1) << places[k];
    left[x] = entries[index];
    constant &= near(left[x], left[0]);
  }
  if (constant) return;
  if (kept.size() == 1) return one(kept[0], {left[0], 0, 0, left[1]}, guard);
  const Row* whole = kept.size() == qubits.size() ? as : nullptr;
  if (kept.size() == 2) {
    Amplitude m[16] = {};
    for (int x = 0; x < 4; ++x) m[5 * x] = left[x];
    return two(kept[0], kept[1], m, guard, whole);
  }
  std::vector<double> params;
  for (const Amplitude& entry : left) params.insert(params.end(), {entry.real(), entry.imag()});
  emit(Op::kDiagonal, kept, params, guard);
}

void Folding::many(Qubits qubits, const std::vector<Amplitude>& m, int guard, const Row* as) {
  const int width = static_cast<int>(qubits.size());
  if (width == 2) return two(qubits[0], qubits[1], m.data(), guard, as);
  for (int k = 0; k < width; ++k) {
    Pure after;
    std::vector<Amplitude> rest;
    if (live(qubits[k]) || !split(k, width, m.data(), state(qubits[k]), after, rest)) continue;
    if (guard >= 0 && !same_state(after, state(qubits[k]))) continue;
    if (guard < 0) state(qubits[k]) = after;
    std::vector<std::int32_t> others(qubits.begin(), qubits.end());
    others.erase(others.begin() + k);
    return many(others, rest, guard);
  }
  if (as) return emit(as->op, as->qubits, as->params, guard);
  std::vector<double> params;
  for (const Amplitude& entry : m) params.insert(params.end(), {entry.real(), entry.imag()});
  emit(Op::kUnitary, qubits, params, guard);
}

void Folding::swap(int a, int b, int guard, const Row* as) {
  if (!live(a) && !live(b) && same_state(state(a), state(b))) return;
  if (guard < 0 && relabel_) {
    std::swap(place_[a], place_[b]);
    relabelled += 1;
    return;
  }
  const std::int32_t qubits[2] = {a, b};
  if (guard >= 0) return as ? emit(as->op, as->qubits, {}, guard) : emit(Op::kSwap, qubits, {}, guard);
  if (!live(a) && !live(b)) return std::swap(state(a), state(b));
  const std::uint8_t was_live[2] = {live_[a], live_[b]};
  const Pure was[2] = {state_[a], state_[b]};
  live_[a] = live_[b] = 1;  // no preparation: the state goes on waiting on the other side
  emit(Op::kSwap, qubits, {}, guard);
  live_[a] = was_live[1], live_[b] = was_live[0];
  state_[a] = was[1], state_[b] = was[0];
}

void Folding::measure(const Row& row, int guard) {
  const int q = row.qubits[0], known = basis(q);
  if (known >= 0 && guard < 0 && !volatile_[row.clbit]) return set_bit(row.clbit, known);
  if (known >= 0 && guard >= 0 && bit[row.clbit] == known) return;
  emit(Op::kMeasure, row.qubits, {}, guard, row.clbit);
  set_bit(row.clbit, -1);
}

void Folding::reset(int q, int guard) {
  if (guard >= 0) {
    if (basis(q) != 0) emit(Op::kReset, {&q, 1}, {}, guard);
    return;
  }
  if (live(q)) emit(Op::kReset, {&q, 1}, {}, guard);
  live_[place_[q]] = 0;
  state(q) = {};
}

void Folding::prepare(int q) {
  const int place = place_[q];
  if (live_[place]) return;
  live_[place] = 1;
  last_[place].row = -1;
  const Named named = preparation(state_[place]);
  if (named.identity()) return;
  emit(named.op, {&q, 1}, named.parameters(), -1);
  Last& last = last_[place];
  last.row = static_cast<int>(out.size()) - 1;
  last.matrix = matrix2(controlled_gate(named.op, 1, named.parameters()).matrix);
  last.clifford = is_clifford(named.op, 1, named.parameters());
}

void Folding::emit(Op op, Qubits qubits, std::span<const double> params, int guard, int clbit) {
  for (const int q : qubits) prepare(q);
  std::vector<std::int32_t> places;
  places.reserve(qubits.size());
  const int row = static_cast<int>(out.size());
  for (const int q : qubits) {
    Last& last = last_[place_[q]];
    places.push_back(place_[q]);
    last.gate = qubits.size() > 1 && last.row >= 0 ? row : -1;
    last.before = last.row;
    last.row = -1;
  }
  out.add({op, places, params, clbit, guard});
  dropped_.push_back(0);
}

void Folding::drop(int row) {
  dropped_[row] = 1;
  merged_ = true;
}

// A gate on a qubit that is entangled. Neighbors are merged where a named gate or a single rotation comes out,
// and where none of the two is Clifford; a Clifford gate never vanishes in a matrix.
void Folding::emit_one(int q, const Matrix2& u, int guard, const Row* as) {
  Last& last = last_[place_[q]];
  const Named own = name_of(u);
  if (own.identity()) return;
  const bool clifford = is_clifford(own.op, 1, own.parameters());
  if (guard < 0 && last.row >= 0) {
    const Matrix2 product = multiply(u, last.matrix);
    const Named merged = name_of(product);
    if (merged.fixed() || (!clifford && !last.clifford) || (is_diagonal(u.data()) && is_diagonal(last.matrix.data()))) {
      drop(last.row);
      last.row = -1;
      if (merged.identity()) return;
      emit(merged.op, {&q, 1}, merged.parameters(), -1);
      last.row = static_cast<int>(out.size()) - 1;
      last.matrix = product, last.clifford = is_clifford(merged.op, 1, merged.parameters());
      return;
    }
  }
  if (guard < 0 && last.row < 0 && last.gate >= 0 && turn_around(place_[q], u)) return;
  if (as) emit(as->op, as->qubits, as->params, guard);
  else emit(own.op, {&q, 1}, own.parameters(), guard);
  if (guard < 0) last.row = static_cast<int>(out.size()) - 1, last.matrix = u, last.clifford = clifford;
}

// A, a gate that is controlled by others, and A† on its target: one controlled gate A† U A. False where it is
// none of that form, or where Clifford gates would become one that has no name.
bool Folding::turn_around(int place, const Matrix2& u) {
  Last& last = last_[place];
  const auto found = changed_.find(last.gate);
  const Row row = out[last.gate];
  const Op op = found == changed_.end() ? row.op : found->second.op;
  const Qubits qubits = found == changed_.end() ? row.qubits : Qubits(found->second.qubits);
  const Controlled gate =
      controlled_gate(op, row.width(), found == changed_.end() ? row.params : std::span<const double>(found->second.params));
  const Matrix2 a = last.matrix;
  if (gate.controls < 1 || !is_scalar(multiply(u, a).data())) return false;
  const bool symmetric = is_diagonal(gate.matrix) && near(gate.matrix[0], 1);
  if (!symmetric && qubits.back() != place) return false;
  const Matrix2 adjoint{std::conj(a[0]), std::conj(a[2]), std::conj(a[1]), std::conj(a[3])};
  NamedRow named = name_controlled(row.width(), multiply(adjoint, multiply(matrix2(gate.matrix), a)));
  if (last.clifford && !named.params.empty()) return false;
  std::vector<std::int32_t> order(qubits.begin(), qubits.end());
  std::swap(*std::find(order.begin(), order.end(), place), order.back());
  changed_.insert_or_assign(last.gate, Changed{named.op, std::move(order), std::move(named.params)});
  drop(last.before);
  last.gate = -1;
  return true;
}

}  // namespace qrex
