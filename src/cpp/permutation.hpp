// Copies of amplitudes between arrays whose index bits stand in another order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace qrex {

// Counter bit k of the copy is bit `from` of the source's index and bit `to` of the target's, for each of `bits`:
// 2^bits.size() floats are copied, the rest of the target stays as it is. One read and one write of whole cache lines,
// whatever the order; runs of common low bits are copied as such.
class BitPermutation {
 public:
  explicit BitPermutation(std::vector<std::pair<int, int>> bits);

  std::uint64_t items() const { return std::uint64_t{1} << outer_.size(); }
  // Item `item` of items(): they may run side by side. All values are multiplied by `scale`.
  void run(std::uint64_t item, const float* source, float* target, float scale) const;

 private:
  std::vector<std::pair<int, int>> outer_;
  std::size_t run_ = 1;
  std::vector<std::uint64_t> from_, to_;  // of each run within an item
};

}  // namespace qrex
