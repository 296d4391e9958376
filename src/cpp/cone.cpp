#include "cone.hpp"

#include <algorithm>

#include "algebra.hpp"

namespace qrex {
namespace {

enum Seen : std::uint8_t { kUnseen, kAlongZ, kSeen };

}  // namespace

std::vector<std::uint8_t> needed_rows(const Rows& rows, const std::vector<Guard>& guards, int num_qubits,
                                      std::vector<std::uint8_t> wanted) {
  std::vector<std::uint8_t> seen(num_qubits, kUnseen), keep(rows.size(), 0);
  for (std::size_t i = rows.size(); i-- > 0;) {
    const Row row = rows[i];
    const bool guarded = row.guard >= 0;
    if (row.op == Op::kMeasure) {
      std::uint8_t& qubit = seen[row.qubits[0]];
      // A measurement that nobody reads still takes the coherence that later rows would see.
      if (!wanted[row.clbit] && qubit != kSeen) continue;
      if (!guarded) wanted[row.clbit] = 0, qubit = kAlongZ;
      else qubit = std::max<std::uint8_t>(qubit, kAlongZ);
    } else if (row.op == Op::kReset) {
      std::uint8_t& qubit = seen[row.qubits[0]];
      if (qubit == kUnseen) continue;
      qubit = guarded ? kSeen : kUnseen;
    } else {
      bool needed = false, looked = false;
      int diagonal = 0;
      for (const int q : row.qubits) needed |= seen[q] == kSeen;
      for (int k = 0; k < row.width() && !needed; ++k) {
        if (seen[row.qubits[k]] == kUnseen) continue;
        if (!looked) diagonal = leading_diagonal(row), looked = true;
        needed = k >= diagonal;
      }
      if (!needed) continue;
      if (!looked) diagonal = leading_diagonal(row);
      for (int k = 0; k < row.width(); ++k)
        seen[row.qubits[k]] = std::max<std::uint8_t>(seen[row.qubits[k]], k < diagonal ? kAlongZ : kSeen);
    }
    keep[i] = 1;
    if (guarded)
      for (const Condition& condition : guards[row.guard])
        for (const int c : condition.bits) wanted[c] = 1;
  }
  return keep;
}

}  // namespace qrex
