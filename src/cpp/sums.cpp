#include "sums.hpp"

#include <algorithm>
#include <bit>

#include "parallel.hpp"

namespace qrex {
namespace {

constexpr std::uint64_t kItem = std::uint64_t{1} << 18;  // amplitudes summed as one
constexpr std::uint64_t kMostTables = 64;

}  // namespace

std::complex<double> pauli_sum(const float* re, const float* im, std::uint64_t size, std::uint64_t flips,
                               std::uint64_t signs, int threads) {
  const std::uint64_t item = std::min(kItem, size);
  std::vector<std::complex<double>> parts(size / item);
  parallel_for(parts.size(), std::max(threads, 1), [&](int, std::uint64_t k) {
    double real = 0, imaginary = 0;
    for (std::uint64_t x = k * item; x < (k + 1) * item; ++x) {
      const std::uint64_t y = x ^ flips;
      const double sign = std::popcount(x & signs) & 1 ? -1.0 : 1.0;
      real += sign * (double(re[y]) * re[x] + double(im[y]) * im[x]);
      imaginary += sign * (double(re[y]) * im[x] - double(im[y]) * re[x]);
    }
    parts[k] = {real, imaginary};
  });
  std::complex<double> total = 0;
  for (const auto& part : parts) total += part;
  return total;
}

std::vector<double> marginal(const float* re, const float* im, std::uint64_t size, const std::vector<int>& positions,
                             int threads) {
  const std::size_t entries = std::size_t{1} << positions.size();
  const std::uint64_t parts = std::clamp<std::uint64_t>(size / std::max<std::uint64_t>(entries, kItem), 1, kMostTables);
  const std::uint64_t item = size / std::bit_floor(parts);
  std::vector<std::vector<double>> tables(size / item, std::vector<double>(entries, 0.0));
  parallel_for(tables.size(), std::max(threads, 1), [&](int, std::uint64_t k) {
    std::vector<double>& table = tables[k];
    for (std::uint64_t x = k * item; x < (k + 1) * item; ++x) {
      std::size_t at = 0;
      for (std::size_t p = 0; p < positions.size(); ++p) at |= (x >> positions[p] & 1) << p;
      table[at] += double(re[x]) * re[x] + double(im[x]) * im[x];
    }
  });
  for (std::size_t k = 1; k < tables.size(); ++k)
    for (std::size_t e = 0; e < entries; ++e) tables[0][e] += tables[k][e];
  return tables[0];
}

}  // namespace qrex
