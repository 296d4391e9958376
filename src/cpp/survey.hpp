// Counts and flags of a program, for `Profile`. O(rows).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "bonds.hpp"
#include "rows.hpp"

namespace qrex {

struct Survey {
  std::array<std::int64_t, 256> rows_of{};  // by opcode
  std::array<std::int64_t, 4> widths{};     // unitary rows on 1, 2, 3 or more qubits
  std::int64_t fused_blocks = 0, non_clifford = 0, depth = 0;
  std::int64_t clifford_prefix = 0;  // rows before the first that is not Clifford
  int active = 0, components = 0, widest = 0;
  bool terminal = true, trajectories = false;
  std::int64_t first_foreign = -1;  // row of the first gate that is not Clifford
  // Measurements and resets before the last row under measured bits that is no Pauli under a single one.
  std::int64_t stabilizer_forks = 0;
  BondBounds bonds;
  double log2_support = 0;
};

// `reduced`: the rows come out of a reduction, and folding them once more would show nothing new.
Survey survey(const Rows& rows, const std::vector<Guard>& guards, int num_qubits, int num_clbits, bool reduced);

}  // namespace qrex
