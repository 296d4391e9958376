// The outer stages of a state that is worked on part by part: which wires are local when, and which gates run then.
//
// A sub-state holds the amplitudes over the local wires of its stage, for one value of the others. Gates need only
// the wires on which they are not diagonal to be local. In the first stage the other wires are still in |0>, so that
// one sub-state is the whole state. Fewest stages first, then as much work as possible in the early ones: a beam
// search over local sets, exhaustive per stage where there are few enough of them.
// Reference: the staging problem of Atlas (arXiv:2408.09055).
#pragma once

#include <cstdint>
#include <vector>

#include "gates.hpp"

namespace qrex::dense {

struct OuterStage {
  std::uint64_t local = 0;
  std::vector<int> gates;
  double cost = 0;
};

// Stages that run all `gates`, with `first` wires local in the first, `fixed` among them, and `rest` wires in all others
// (or all of `used`, where these are fewer). Deterministic. Throws std::invalid_argument where a gate is dense on more
// wires than that, or more are fixed.
std::vector<OuterStage> plan_outer_stages(const Gates& gates, std::uint64_t used, int first, int rest,
                                          std::uint64_t fixed = 0);

// How many stages the first choice of each would need, found in microseconds: never fewer than the above. `most` + 1
// where it is more.
int count_outer_stages(const Gates& gates, std::uint64_t used, int local, int most);

}  // namespace qrex::dense
