// What a program holds for its measurements, read off its rows without matrices.
#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>

#include "lowering.hpp"

namespace qrex::dense {
namespace {

// How many of a row's qubits, from the first, it is diagonal on.
std::size_t diagonal_prefix(const Circuit& circuit, std::size_t row) {
  const std::size_t width = circuit.qubits(row).size();
  switch (circuit.op(row)) {
    case Op::kZ: case Op::kS: case Op::kSdg: case Op::kT: case Op::kTdg: case Op::kRz: case Op::kP:
    case Op::kCz: case Op::kCs: case Op::kCsdg: case Op::kCp: case Op::kCrz: case Op::kRzz: case Op::kCcz:
    case Op::kMcp: case Op::kDiagonal:
      return width;
    case Op::kCx: case Op::kCy: case Op::kCh: case Op::kCsx: case Op::kCrx: case Op::kCry: case Op::kCu:
    case Op::kCcx: case Op::kMcx: case Op::kMcu:
      return width - 1;
    case Op::kCswap: case Op::kRzx: return 1;
    default: return 0;
  }
}

// Identity wherever one of the qubits that it is diagonal on is 0.
bool skips_on_zero(Op op) { return op != Op::kRzz && op != Op::kRzx && op != Op::kDiagonal; }

}  // namespace

Outlook::Outlook(const Circuit& circuit) : deferred(circuit.size(), 0), abandoned(circuit.size(), 0) {
  // Of each qubit: a later gate that does not commute with measuring it; any later gate. Of each bit: a guard
  // that reads it before it is written again.
  std::vector<std::uint8_t> busy(circuit.num_qubits, 0), gated(circuit.num_qubits, 0), wanted(circuit.num_clbits, 0);
  for (std::size_t row = circuit.size(); row-- > 0;) {
    const Op op = circuit.op(row);
    const int guard = circuit.guard(row);
    const auto qubits = circuit.qubits(row);
    const int q = qubits.empty() ? -1 : qubits[0];
    if (op == Op::kMeasure) {
      const int c = circuit.clbit(row);
      deferred[row] = !busy[q] && !wanted[c];
      if (guard < 0) wanted[c] = 0;
    } else if (op == Op::kReset) {
      abandoned[row] = !gated[q];
      busy[q] = gated[q];
    } else if (op == Op::kSwap) {
      const int p = qubits[1];
      if (guard < 0) std::swap(busy[q], busy[p]), std::swap(gated[q], gated[p]);
      else busy[q] = busy[p] = busy[q] | busy[p], gated[q] = gated[p] = gated[q] | gated[p];
    } else if (op != Op::kX) {
      const std::size_t diagonal = diagonal_prefix(circuit, row);
      for (std::size_t k = 0; k < qubits.size(); ++k) gated[qubits[k]] = 1, busy[qubits[k]] |= k >= diagonal;
    }
    if (guard >= 0)
      for (const int c : circuit.guard_bits(guard)) wanted[c] = 1;
  }
}

Outline outline(const Circuit& circuit, const Outlook& outlook, std::uint64_t shots) {
  constexpr std::int8_t kLive = 3, kEither = 2;  // beside 0 and 1: known, but which depends on the branch
  std::vector<std::int8_t> state(circuit.num_qubits, 0);
  Outline out;
  int live = 0;
  // Of two branches the one with more shots waits, so that at most log2(shots) wait at a time.
  const std::size_t most = shots > 1 ? std::bit_width(shots) - 1 : 0;
  std::vector<double> waiting;  // the largest ones, as a heap with the smallest in front
  double held = 0;
  const auto grow = [&](int qubit) {
    if (state[qubit] != kLive) state[qubit] = kLive, ++live;
  };
  const auto wait = [&](double half) {
    waiting.push_back(half), held += half;
    std::push_heap(waiting.begin(), waiting.end(), std::greater<>());
    if (waiting.size() <= most) return;
    std::pop_heap(waiting.begin(), waiting.end(), std::greater<>());
    held -= waiting.back();
    waiting.pop_back();
  };
  const auto see = [&] {
    out.wires = std::max(out.wires, live);
    out.amplitudes = std::max(out.amplitudes, std::ldexp(1.0, std::max(live, 4)) + held);
  };
  see();
  for (std::size_t row = 0; row < circuit.size(); ++row) {
    const Op op = circuit.op(row);
    const bool guarded = circuit.guard(row) >= 0;
    const auto qubits = circuit.qubits(row);
    if (op == Op::kMeasure || op == Op::kReset) {
      std::int8_t& s = state[qubits[0]];
      const bool collapses = !(op == Op::kMeasure ? outlook.deferred[row] : outlook.abandoned[row]);
      if (s == kLive && collapses && !guarded) {
        ++out.events;
        // While it is split, a half of the state is there twice.
        out.amplitudes = std::max(out.amplitudes, 1.5 * std::ldexp(1.0, std::max(live, 4)) + held);
        --live;
        s = kEither;
        wait(std::ldexp(1.0, std::max(live, 4)));
      } else if (s == kLive && collapses) {  // in some branches: those where it goes on hold more
        ++out.events;
        out.amplitudes = std::max(out.amplitudes, 1.5 * std::ldexp(1.0, std::max(live, 4)) + held);
        wait(std::ldexp(1.0, std::max(live - 1, 4)));
      }
      if (op == Op::kReset && s != kLive) s = guarded && s != 0 ? kEither : 0;
      if (op == Op::kReset && s == kLive && !collapses && !guarded) s = 0;  // its wire goes on without it
    } else if (op == Op::kX) {
      std::int8_t& s = state[qubits[0]];
      if (s != kLive) s = guarded ? kEither : s == kEither ? kEither : static_cast<std::int8_t>(1 - s);
    } else if (op == Op::kSwap && !guarded) {
      std::swap(state[qubits[0]], state[qubits[1]]);
    } else if (op == Op::kSwap) {
      if (state[qubits[0]] != state[qubits[1]] || state[qubits[0]] == kEither) {
        for (const int q : qubits)
          if (state[q] == kLive) for (const int p : qubits) grow(p);
        for (const int q : qubits)
          if (state[q] != kLive) state[q] = kEither;
      }
    } else {
      const std::size_t diagonal = diagonal_prefix(circuit, row);
      bool acts = true;
      if (skips_on_zero(op))
        for (std::size_t k = 0; k < std::min(diagonal, qubits.size()); ++k) acts &= state[qubits[k]] != 0;
      if (!acts) continue;
      bool controlled = false, certain = !guarded;
      for (std::size_t k = 0; k < diagonal; ++k) controlled |= state[qubits[k]] == kLive, certain &= state[qubits[k]] == 1;
      if (op == Op::kCswap && certain) {
        std::swap(state[qubits[1]], state[qubits[2]]);
        continue;
      }
      const bool flips = op == Op::kY || op == Op::kCx || op == Op::kCy || op == Op::kCcx || op == Op::kMcx;
      for (std::size_t k = diagonal; k < qubits.size(); ++k) {
        std::int8_t& s = state[qubits[k]];
        if (flips && !controlled) {
          if (s != kLive) s = certain && s != kEither ? static_cast<std::int8_t>(1 - s) : kEither;
        } else {
          grow(qubits[k]);
        }
      }
    }
    see();
  }
  return out;
}

}  // namespace qrex::dense
