// What a dense simulation of a program has to do, without doing it.
#pragma once

#include <cstdint>
#include <vector>

#include "lowering.hpp"
#include "staging.hpp"

namespace qrex::dense {

// Sums over all branches that are expected. Gates count as shares of a dense two-qubit gate; "narrow" is what
// happens while the state is one block.
struct Work {
  Outline outline;
  double branches = 1, rows = 0, gates = 0, stages = 0;
  double narrow = 0, wide = 0;  // gates times amplitudes
  double passes = 0;            // wide passes times amplitudes
  double collapses = 0;         // collapses times amplitudes
  double sampled = 0;           // amplitudes of final states
  std::vector<int> outer;       // bounds on the outer stages with 1, 2, ... wires outside; none where nothing is large
};

// Lowers and plans, `most_rows` rows at most; the rest is taken to be like them.
Work work(const Circuit& circuit, std::uint64_t shots, std::size_t most_rows, const BlockSizes& sizes);

}  // namespace qrex::dense
