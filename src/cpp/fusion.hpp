// Gate fusion: neighbors on the same wires become one matrix where that is cheaper.
//
// A block holds the gates met so far on one wire or a pair of wires, as a list of segments; a new gate is
// multiplied onto as many of the last segments as lower the modelled cost (`modelled_cost`). Only the flags are
// looked at to decide. Since no sum of costs exceeds a dense gate's, a block has few segments: O(gates).
#pragma once

#include <cstdint>
#include <vector>

#include "gates.hpp"

namespace qrex::dense {

class Fuser {
 public:
  explicit Fuser(Gates& out);

  // A snapped 2x2 with its flags.
  void one(int wire, unsigned flags, const Complex* matrix);
  // A snapped 4x4 with its flags; low is the low bit of its index.
  void two(int low, int high, unsigned flags, const Complex* matrix);
  // Before a gate on more wires is written to the output: closes the blocks on `touched`.
  void close_all(std::uint64_t touched);
  void finish() { close_all(~std::uint64_t{0}); }

 private:
  struct Segment {
    unsigned flags;
    bool product;
    Complex m[16];  // 2x2 in its first four entries where the block has one wire
  };
  struct Block {
    int width = 0, wires[2] = {0, 0};
    std::vector<Segment> segments;
  };
  void push(Block& block, unsigned flags, const Complex* matrix);
  int open_block(int width, int low, int high);
  void close(int index);

  Gates& out_;
  std::vector<Block> blocks_;
  std::vector<int> free_;
  std::int16_t open_[64];
};

}  // namespace qrex::dense
