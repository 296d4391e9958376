// An upper bound on the number of basis states with a nonzero amplitude, at any moment of a program.
//
// Two supersets of the support are followed side by side: the basis states themselves, while they are few, and
// an affine space over GF(2), which X, CX and swaps map to affine spaces and which a gate that branches on a
// qubit widens by that qubit's direction, if it was not in it (after Dehaene and De Moor, quant-ph/0304125).
// Gates that only permute basis states keep the number. No cancellation is assumed.
// O(rows · qubits² / 64) while the bound is below `kHopeless`.
#pragma once

#include "rows.hpp"

namespace qrex {

double log2_support(const Rows& rows, int num_qubits);

}  // namespace qrex
