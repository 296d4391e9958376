// A program cut down to what has to be simulated, in parts that know nothing of each other.
#pragma once

#include <cstdint>
#include <vector>

#include "bonds.hpp"
#include "rows.hpp"

namespace qrex {

struct PartRows {
  Rows rows;
  std::vector<Guard> guards;
  std::vector<std::int32_t> qubits, clbits;  // numbers before, by number within the part
};

struct Reduction {
  std::vector<std::int8_t> bit;  // certain value of each classical bit, or -1
  std::vector<std::int32_t> coin_bits;
  std::vector<double> coin_ones;  // probability of 1
  std::vector<PartRows> parts;
  int relabelled = 0, folded = 0, unseen = 0;  // swaps made names, rows worked out, rows no measurement sees
  int rows_after = 0, qubits_after = 0;
};

// Forward folding and backward light cones until nothing goes any more, then connected components, each with
// its qubits in the order `arrange` finds.
Reduction reduce(const Rows& rows, const std::vector<Guard>& guards, int num_qubits, int num_clbits);

}  // namespace qrex
