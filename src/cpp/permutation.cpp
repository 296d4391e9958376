#include "permutation.hpp"

#include <algorithm>
#include <cstring>

namespace qrex {
namespace {

constexpr int kLineBits = 6;       // positions below it stay together on both sides
constexpr int kItemBits = 14;      // at least so many bits in an item, where there are so many
constexpr std::size_t kCopied = 8;  // floats from which a run is worth a block copy

std::uint64_t bit(int k) { return std::uint64_t{1} << k; }

}  // namespace

BitPermutation::BitPermutation(std::vector<std::pair<int, int>> bits) {
  std::sort(bits.begin(), bits.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  std::size_t common = 0;
  while (common < std::min<std::size_t>(bits.size(), kItemBits) &&
         bits[common] == std::pair(static_cast<int>(common), static_cast<int>(common))) ++common;
  run_ = std::size_t{1} << common;
  std::vector<std::pair<int, int>> inner;
  for (std::size_t k = common; k < bits.size(); ++k)
    (bits[k].first < kLineBits || bits[k].second < kLineBits ? inner : outer_).push_back(bits[k]);
  while (!outer_.empty() && common + inner.size() < kItemBits) {  // the lowest of the rest, for longer items
    inner.push_back(outer_.front());
    outer_.erase(outer_.begin());
  }
  std::sort(inner.begin(), inner.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  for (std::uint64_t x = 0; x < bit(static_cast<int>(inner.size())); ++x) {
    std::uint64_t from = 0, to = 0;
    for (std::size_t k = 0; k < inner.size(); ++k)
      if (x >> k & 1) from |= bit(inner[k].first), to |= bit(inner[k].second);
    from_.push_back(from), to_.push_back(to);
  }
}

void BitPermutation::run(std::uint64_t item, const float* source, float* target, float scale) const {
  for (std::size_t k = 0; k < outer_.size(); ++k)
    if (item >> k & 1) source += bit(outer_[k].first), target += bit(outer_[k].second);
  if (run_ == 1) {
    for (std::size_t k = 0; k < from_.size(); ++k) target[to_[k]] = scale * source[from_[k]];
  } else if (run_ >= kCopied && scale == 1.0F) {
    for (std::size_t k = 0; k < from_.size(); ++k)
      std::memcpy(target + to_[k], source + from_[k], run_ * sizeof(float));
  } else {
    for (std::size_t k = 0; k < from_.size(); ++k) {
      const float* s = source + from_[k];
      float* t = target + to_[k];
      for (std::size_t x = 0; x < run_; ++x) t[x] = scale * s[x];
    }
  }
}

}  // namespace qrex
