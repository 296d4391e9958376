// A circuit lowered for a state of nonzero amplitudes: steps that keep the number of amplitudes, and blocks
// that combine amplitudes which differ in a few bits.
#pragma once

#include <cstdint>
#include <vector>

#include "circuit.hpp"

namespace qrex::sparse {

constexpr int kWidestBlock = 10;   // bits of one block; more than 6 only for a single wide matrix
constexpr int kOccupancyBits = 6;  // blocks of up to that many bits keep a set of their nonzero entries

enum class Kind : std::uint8_t {
  // One amplitude in, one out.
  Flip, FlipPhase, Phase, Parity, Exchange, Table, Diagonal,
  // Several amplitudes combine: only inside blocks.
  One, Matrix,
  // Only as steps.
  Block, Measure, Reset,
};

// A key passes where (key[word] & mask) == value.
struct Test {
  std::uint32_t word;
  std::uint64_t mask, value;
};

struct Place {
  std::uint32_t word, shift;
};

struct Step {
  Kind kind;
  std::int32_t guard = -1, clbit = -1;
  std::uint32_t tests = 0, more = 0;  // how many; those after the first start at Plan::tests[more]
  Test test{};
  std::uint32_t word = 0, word2 = 0;  // what is flipped, compared or measured
  std::uint64_t bit = 0, bit2 = 0;
  Amplitude factor[2]{};
  std::uint32_t index = 0;  // of the table or block
};

struct MonomialTable {
  std::vector<Place> places;
  std::vector<std::uint32_t> to;  // empty: diagonal
  std::vector<Amplitude> factor;
};

// A gate of a block. `tests` look at bits outside the block (for Parity: their masks are summed mod 2), `where`
// holds the entries x of the block at which the gate acts: the lower ones of each pair for One, Flip, FlipPhase
// and Exchange.
struct LocalGate {
  Kind kind;
  std::int32_t guard = -1;
  std::uint32_t tests = 0, first_test = 0;
  std::uint64_t where = 0;
  std::int32_t stride = 0;  // from the lower entry of a pair to the other
  Amplitude matrix[4]{};
  std::uint32_t index = 0;
};

struct LocalTable {  // over all entries of a block
  std::uint8_t to[1 << kOccupancyBits];
  Amplitude factor[1 << kOccupancyBits];
};

struct LocalMatrix {
  std::uint32_t dim;
  std::vector<std::uint32_t> offsets, starts;  // entries start + offsets[i] belong together
  std::vector<Amplitude> entries;
};

struct Block {
  int bits = 0;
  Place places[kWidestBlock]{};
  std::uint64_t mask[2]{};  // of the first two words of a key
  std::uint32_t first = 0, last = 0;  // gates
};

struct GuardTest {
  bool simple;  // looks at one classical bit
  bool if_zero, if_one;
  std::uint32_t word;
  std::uint64_t mask;
};

struct Final {
  std::uint32_t word, shift, clbit;
};

struct Plan {
  std::uint32_t words = 1;  // of a key
  std::vector<int> position;  // of each qubit at the end, -1 where no row touches it
  std::vector<Step> steps;
  std::vector<std::uint32_t> run_end;  // first step at or after each that is a block, measurement or reset
  std::vector<std::uint32_t> next_moving;  // first step at or after each that does more than turn phases
  std::vector<std::uint32_t> blocks_after;  // blocks at or after each step
  std::vector<Test> tests;
  std::vector<MonomialTable> tables;
  std::vector<LocalTable> local_tables;
  std::vector<LocalMatrix> local_matrices;
  std::vector<LocalGate> gates;
  std::vector<Block> blocks;
  std::vector<GuardTest> guards;
  std::vector<Final> finals;  // measurements that nothing follows
  std::size_t bytes() const;
};

}  // namespace qrex::sparse
