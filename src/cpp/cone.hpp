// Backward pass over a program: which rows no measurement can see. O(rows).
#pragma once

#include <vector>

#include "rows.hpp"

namespace qrex {

// 1 for every row that is needed to know the bits `wanted` at the end.
//
// Walking back, a qubit is unseen (nothing later depends on it), seen only along Z (all that follows is diagonal
// on it, up to its measurement), or seen. A row is not needed where each of its qubits is unseen, or is seen only
// along Z and the row is block-diagonal on it: the row then changes no probability of what follows.
std::vector<std::uint8_t> needed_rows(const Rows& rows, const std::vector<Guard>& guards, int num_qubits,
                                      std::vector<std::uint8_t> wanted);

}  // namespace qrex
