#include "sampling.hpp"

#include <algorithm>
#include <stdexcept>

#include "parallel.hpp"

namespace qrex {

std::vector<double> block_norms(const float* re, const float* im, std::uint64_t size, int threads,
                                const KernelSet& kernels) {
  std::vector<double> norms((size + kNormBlock - 1) / kNormBlock);
  constexpr std::uint64_t kStep = 256;  // blocks per item: 8 MiB, so that the shared counter does not matter
  const std::uint64_t items = (norms.size() + kStep - 1) / kStep;
  parallel_for(items, threads, [&](int, std::uint64_t item) {
    for (std::uint64_t b = item * kStep; b < std::min<std::uint64_t>((item + 1) * kStep, norms.size()); ++b) {
      const std::uint64_t at = b * kNormBlock;
      norms[b] = kernels.norm(re + at, im + at, std::min(kNormBlock, size - at));
    }
  });
  return norms;
}

std::vector<std::uint64_t> sample(const float* re, const float* im, std::uint64_t size,
                                  const std::vector<double>& norms, const double* ascending, std::size_t count,
                                  int threads) {
  std::vector<double> before(norms.size() + 1, 0.0);
  for (std::size_t b = 0; b < norms.size(); ++b) before[b + 1] = before[b] + norms[b];
  const double whole = before.back();
  if (!(whole > 0)) throw std::invalid_argument("the state has no norm to sample from");

  struct Group {
    std::uint64_t block;
    std::size_t first, last;
  };
  std::vector<Group> groups;
  std::uint64_t block = 0;
  for (std::size_t k = 0; k < count; ++k) {
    if (k && ascending[k] < ascending[k - 1]) throw std::invalid_argument("the uniforms must ascend");
    while (block + 1 < norms.size() && before[block + 1] <= ascending[k] * whole) ++block;
    while (norms[block] == 0) --block;  // rounding pushed the last uniform past the end
    if (groups.empty() || groups.back().block != block) groups.push_back({block, k, k});
    groups.back().last = k + 1;
  }
  std::vector<std::uint64_t> out(count);
  parallel_for(groups.size(), groups.size() > 64 ? threads : 1, [&](int, std::uint64_t g) {
    const Group& group = groups[g];
    const std::uint64_t begin = group.block * kNormBlock, end = std::min(begin + kNormBlock, size);
    const auto probability = [&](std::uint64_t x) { return double(re[x]) * re[x] + double(im[x]) * im[x]; };
    std::uint64_t last_possible = end - 1;
    while (probability(last_possible) == 0) --last_possible;
    std::uint64_t x = begin;
    double passed = before[group.block] + probability(x);
    for (std::size_t k = group.first; k < group.last; ++k) {
      while (x < last_possible && (passed <= ascending[k] * whole || probability(x) == 0)) passed += probability(++x);
      out[k] = x;
    }
  });
  return out;
}

double masked_norm(const float* re, const float* im, std::uint64_t size, std::uint64_t mask, std::uint64_t value) {
  if (mask >= size || (value & ~mask)) throw std::invalid_argument("mask or value goes beyond the state");
  double sum = 0;
  std::uint64_t x = 0;
  do {
    const std::uint64_t at = x | value;
    sum += double(re[at]) * re[at] + double(im[at]) * im[at];
    x = ((x | mask) + 1) & ~mask;
  } while (x < size);
  return sum;
}

}  // namespace qrex
