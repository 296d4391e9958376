// Stages: which wires are local when, and which gates run then.
//
// A gate moves before pending gates that it shares no wire with, or shares only wires on which both are
// diagonal; diagonal gates need no locality. Local sets are chosen greedily (`choose_local`) for a few layouts,
// and the plan with the fewest passes is kept. O(gates x layouts) and a bounded search per pass.
// Reference: the staging problem of Atlas (arXiv:2408.09055), solved greedily.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "gates.hpp"

namespace qrex::dense {

// log2 of the amplitudes in a block, in one piece when a block is gathered, and in the first-level cache.
struct BlockSizes {
  int block_bits, chunk_bits, inner_bits;
};

// Where each wire stands in the state's index.
struct Layout {
  std::array<std::int8_t, 64> position_of, wire_at;  // -1: none
  int wires = 0;                                     // positions 0 to wires-1 are taken
  Layout();
  int positions() const { return wires < 4 ? 4 : wires; }  // a state has at least 16 amplitudes
  std::uint64_t placed(std::uint64_t mask) const;          // wires as positions
  void add(int wire);
  void remove(int wire);  // positions above it move down
};

// Gates that run together: several where they are Phases that become one.
struct Step {
  std::uint32_t first, count;  // of `order`
};

// One pass over the state: its local wires, and its gates in an order for the cache.
struct Pass {
  std::uint64_t local;
  std::vector<int> order;
  std::vector<Step> steps;
};

// Passes that run all of `gates`. Wires that `layout` lacks are placed; where it is empty, so that few passes
// suffice. A state of one block gets several short passes, all local.
// Throws std::invalid_argument where a gate has more wires than a block has room for.
std::vector<Pass> plan_passes(const Gates& gates, std::uint64_t used, const BlockSizes& sizes, Layout& layout);

// The compiled form of a pass.
Stage compile(const Gates& gates, const Pass& pass, const Layout& layout, const BlockSizes& sizes, const KernelSet& kernels);

}  // namespace qrex::dense
