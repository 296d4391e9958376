#include "sparse_plan.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "sparse_gates.hpp"

namespace qrex::sparse {
namespace {

constexpr double kZero = 1e-15;  // matrix entries below are rounding

bool is_zero(Amplitude a) { return std::abs(a.real()) < kZero && std::abs(a.imag()) < kZero; }
bool is_one(Amplitude a) { return is_zero(a - 1.0); }

}  // namespace

constexpr std::size_t kWindow = 4096;  // gates collected before they become steps

Compiler::Compiler(const Circuit& circuit, Plan& plan, int fused_bits)
    : circuit_(circuit), plan_(plan), sink_(plan, fused_bits), pending_(circuit.num_qubits) {
  plan_.position.assign(circuit_.num_qubits, -1);
  int used = 0;
  for (std::size_t row = 0; row < circuit_.size(); ++row)
    for (const int q : circuit_.qubits(row))
      if (plan_.position[q] < 0) plan_.position[q] = used++;
  plan_.words = std::max(1, (used + 63) / 64);
}

bool Compiler::some(std::size_t rows) {
  if (row_ == 0) find_finals();
  const std::size_t end = std::min(circuit_.size(), row_ + rows);
  for (; row_ < end; ++row_) {
    read(row_);
    if (sink_.waiting() >= kWindow) sink_.emit();
  }
  if (row_ < circuit_.size()) return false;
  for (int q = 0; q < circuit_.num_qubits; ++q) flush(q);
  sink_.emit();
  finish();
  return true;
}

// A measurement stands at the end if no later row touches its qubit and no later row writes or tests its bit.
// One that is followed by another write of its bit, with nothing in between, is not needed at all.
void Compiler::find_finals() {
  final_.assign(circuit_.size(), 0);
  std::vector<char> touched(circuit_.num_qubits), used(touched);  // used: also by measurements at the end
  std::vector<char> tested(circuit_.num_clbits), written(tested);
  for (std::size_t row = circuit_.size(); row-- > 0;) {
    const Op op = circuit_.op(row);
    const int guard = circuit_.guard(row);
    const auto qubits = circuit_.qubits(row);
    if (op == Op::kMeasure && guard < 0) {
      const int bit = circuit_.clbit(row);
      if (!touched[qubits[0]] && !tested[bit]) final_[row] = written[bit] ? 2 : 1;
      // Earlier writes of the bit are not seen by what tests it later.
      else tested[bit] = 0;
      written[bit] = 1;
    } else if (op == Op::kReset && !used[qubits[0]]) {
      final_[row] = 2;
    }
    if (final_[row] != 2) {
      // Measurements at the end do not disturb each other: several may read one qubit.
      for (const int q : qubits) used[q] = 1, touched[q] |= final_[row] == 0;
      if (guard >= 0)
        for (const int bit : circuit_.guard_bits(guard)) tested[bit] = 1;
    }
    if (op == Op::kMeasure && guard >= 0) tested[circuit_.clbit(row)] = 1;  // may keep the earlier value
  }
}

void Compiler::read(std::size_t row) {
  const Op op = circuit_.op(row);
  const auto qubits = circuit_.qubits(row);
  const int guard = circuit_.guard(row);
  if (final_[row] == 2) return;
  if (op == Op::kMeasure || op == Op::kReset) {
    const int p = plan_.position[qubits[0]];
    if (final_[row] == 1) {
      plan_.finals.push_back({std::uint32_t(p) >> 6, std::uint32_t(p) & 63, std::uint32_t(circuit_.clbit(row))});
      return;
    }
    if (guard < 0 && pending_[qubits[0]].diagonal) pending_[qubits[0]].any = false;  // phases of a known bit
    flush(qubits[0]);
    sink_.emit();
    Step step{op == Op::kMeasure ? Kind::Measure : Kind::Reset};
    step.guard = guard;
    step.clbit = op == Op::kMeasure ? circuit_.clbit(row) : -1;
    set_bit(step.word, step.bit, p);
    plan_.steps.push_back(step);
    return;
  }
  if (op == Op::kSwap && guard < 0) {  // a renaming
    std::swap(plan_.position[qubits[0]], plan_.position[qubits[1]]);
    std::swap(pending_[qubits[0]], pending_[qubits[1]]);
    return;
  }
  const Controlled one = circuit_.controlled(row);
  if (one.controls == 0 && guard < 0) {
    fuse(qubits[0], one.matrix);
  } else if (one.controls >= 0) {
    controlled(qubits, one.matrix, guard);
  } else {
    several(row, op, qubits, guard);
  }
}

void Compiler::fuse(int qubit, const Amplitude* m) {
  Pending& p = pending_[qubit];
  if (!p.any) {
    p.any = true;
    std::copy(m, m + 4, p.m);
  } else {
    const Amplitude a = p.m[0], b = p.m[1], c = p.m[2], d = p.m[3];
    p.m[0] = m[0] * a + m[1] * c, p.m[1] = m[0] * b + m[1] * d;
    p.m[2] = m[2] * a + m[3] * c, p.m[3] = m[2] * b + m[3] * d;
  }
  p.diagonal = is_zero(p.m[1]) && is_zero(p.m[2]);
}

void Compiler::flush(int qubit) {
  Pending& p = pending_[qubit];
  if (!p.any) return;
  p.any = false;
  const std::int32_t q[1] = {qubit};
  if (p.diagonal) {  // up to a global phase
    const Amplitude ratio = p.m[3] / p.m[0];
    if (!is_one(ratio)) add(Kind::Phase, q, 1, -1).m[0] = ratio;
    return;
  }
  one_qubit(q, p.m, -1);
}

// Before a row acts on `qubit`: a pending diagonal may wait where the row is diagonal there too.
void Compiler::meet(int qubit, bool diagonal) {
  if (pending_[qubit].any && !(diagonal && pending_[qubit].diagonal)) flush(qubit);
}

std::span<const std::int32_t> Compiler::places(std::span<const std::int32_t> qubits) {
  places_.clear();
  for (const int q : qubits) places_.push_back(plan_.position[q]);
  return places_;
}

Gate& Compiler::add(Kind kind, std::span<const std::int32_t> qubits, std::uint32_t controls, int guard) {
  return sink_.add(kind, places(qubits), controls, guard);
}

// A one-qubit gate that is not diagonal, the last of `qubits`, under the others.
void Compiler::one_qubit(std::span<const std::int32_t> qubits, const Amplitude* m, int guard) {
  const std::uint32_t controls = qubits.size() - 1;
  if (is_zero(m[0]) && is_zero(m[3])) {
    const bool plain = controls == 0 && guard < 0 ? is_one(m[1] / m[2]) : is_one(m[1]) && is_one(m[2]);
    Gate& gate = add(plain ? Kind::Flip : Kind::FlipPhase, qubits, controls, guard);
    gate.m[0] = m[2], gate.m[1] = m[1];
  } else {
    std::copy(m, m + 4, add(Kind::One, qubits, controls, guard).m);
  }
}

void Compiler::controlled(std::span<const std::int32_t> qubits, const Amplitude* m, int guard) {
  const bool diagonal = is_zero(m[1]) && is_zero(m[2]);
  for (std::size_t k = 0; k < qubits.size(); ++k) meet(qubits[k], diagonal || k + 1 < qubits.size());
  if (!diagonal) return one_qubit(qubits, m, guard);
  if (!is_one(m[3])) add(Kind::Phase, qubits, qubits.size(), guard).m[0] = m[3];
  if (!is_one(m[0])) {
    Gate& gate = add(Kind::Phase, qubits, qubits.size(), guard);
    gate.m[0] = m[0];
    gate.inverted = true;
  }
}

void Compiler::several(std::size_t row, Op op, std::span<const std::int32_t> qubits, int guard) {
  const auto params = circuit_.params(row);
  if (op == Op::kRzz) {
    for (const int q : qubits) meet(q, true);
    const Amplitude turn{std::cos(params[0]), std::sin(params[0])};
    if (!is_one(turn)) add(Kind::Parity, qubits, 0, guard).m[0] = turn;  // up to a global phase
    return;
  }
  if (op == Op::kDiagonal) {
    for (const int q : qubits) meet(q, true);
    MonomialTable table;
    for (std::size_t k = 0; k < params.size(); k += 2) table.factor.emplace_back(params[k], params[k + 1]);
    if (table.factor.size() != std::size_t{1} << qubits.size())
      throw std::invalid_argument("a diagonal has 2^k entries");
    sink_.add_table(Kind::Diagonal, std::move(table), places(qubits), guard);
    return;
  }
  for (std::size_t k = 0; k < qubits.size(); ++k) meet(qubits[k], op == Op::kCswap && k == 0);
  if (op == Op::kSwap || op == Op::kIswap || op == Op::kCswap) {
    add(Kind::Exchange, qubits, op == Op::kCswap ? 1 : 0, guard).m[0] = op == Op::kIswap ? Amplitude{0, 1} : 1.0;
    return;
  }
  matrix(circuit_.matrix(row), qubits, guard);
}

void Compiler::matrix(std::vector<Amplitude> m, std::span<const std::int32_t> qubits, int guard) {
  const std::size_t dim = std::size_t{1} << qubits.size();
  MonomialTable table;
  bool monomial = true, diagonal = true;
  for (std::size_t x = 0; x < dim && monomial; ++x) {
    int found = 0;
    for (std::size_t y = 0; y < dim; ++y) {
      if (is_zero(m[y * dim + x])) continue;
      if (++found == 1) table.to.push_back(y), table.factor.push_back(m[y * dim + x]), diagonal &= x == y;
    }
    monomial = found == 1;
  }
  if (monomial) {
    if (diagonal) table.to.clear();
    sink_.add_table(diagonal ? Kind::Diagonal : Kind::Table, std::move(table), places(qubits), guard);
  } else {
    sink_.add_matrix(std::move(m), places(qubits), guard);
  }
}

void Compiler::finish() {
  auto& steps = plan_.steps;
  plan_.run_end.resize(steps.size() + 1);
  plan_.blocks_after.resize(steps.size() + 1);
  plan_.next_moving.resize(steps.size() + 1);
  plan_.run_end[steps.size()] = plan_.next_moving[steps.size()] = steps.size();
  for (std::size_t k = steps.size(); k-- > 0;) {
    const Kind kind = steps[k].kind;
    plan_.run_end[k] = kind >= Kind::Block ? k : plan_.run_end[k + 1];
    plan_.blocks_after[k] = plan_.blocks_after[k + 1] + (kind == Kind::Block);
    const bool turns = kind == Kind::Phase || kind == Kind::Parity || kind == Kind::Diagonal;
    plan_.next_moving[k] = turns ? plan_.next_moving[k + 1] : k;
  }
  for (std::size_t g = 0; g < circuit_.num_guards(); ++g) {
    const auto bits = circuit_.guard_bits(g);
    GuardTest test{bits.size() == 1, false, false, 0, 0};
    if (test.simple) {
      test.word = bits[0] >> 6;
      test.mask = std::uint64_t{1} << (bits[0] & 63);
      test.if_zero = circuit_.holds(g, [](int) { return false; });
      test.if_one = circuit_.holds(g, [](int) { return true; });
    }
    plan_.guards.push_back(test);
  }
}

std::size_t Plan::bytes() const {
  std::size_t sum = position.capacity() * 4 + steps.capacity() * sizeof(Step) + run_end.capacity() * 12 +
                    tests.capacity() * sizeof(Test) + local_tables.capacity() * sizeof(LocalTable) +
                    gates.capacity() * sizeof(LocalGate) + blocks.capacity() * sizeof(Block);
  for (const MonomialTable& table : tables)
    sum += sizeof table + table.factor.capacity() * 20 + table.places.size() * 8;
  for (const LocalMatrix& matrix : local_matrices)
    sum += sizeof matrix + matrix.entries.capacity() * 16 + (matrix.dim + matrix.starts.capacity()) * 4;
  return sum;
}

}  // namespace qrex::sparse
