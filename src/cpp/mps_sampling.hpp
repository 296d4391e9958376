// Samples and probabilities of a matrix product state in right-canonical form.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "mps_chain.hpp"

namespace qrex::mps {

using Clock = std::chrono::steady_clock;

// A number of successes; the same on every platform for the same generator state when `trials` is small.
std::int64_t binomial(std::int64_t trials, double p, std::mt19937_64& random);

// Draws all shots together: at each site the distinct prefixes so far are multiplied by the site's tensor in one
// product, and the shots of a prefix are split between 0 and 1 (Ferris and Vidal, arXiv:1201.3974). Sites before the
// first measured one are replaced by a draw of their Schmidt vector, sites after the last one by nothing.
// O(sites · min(shots, prefixes) · bond²).
class Sampler {
 public:
  // `column[i]` is where the bit of site i goes, -1 where nobody reads it.
  Sampler(const Chain& chain, std::vector<int> column, int num_columns, std::int64_t shots, std::size_t memory_bytes);

  bool advance(Clock::time_point deadline, LinearAlgebra& algebra, std::mt19937_64& random);  // whether it is done
  double fraction() const;
  double work() const;  // multiplications, about
  std::size_t bytes() const;

  int words() const { return words_; }
  std::vector<std::uint64_t> rows;    // `words()` each: bit c of a row is column c
  std::vector<std::int64_t> counts;   // of the rows

 private:
  void begin(std::mt19937_64& random);
  void site(int i, LinearAlgebra& algebra, std::mt19937_64& random);

  const Chain& chain_;
  std::vector<int> column_;
  int words_, first_ = 0, last_ = -1, at_ = 0;
  std::int64_t shots_, left_, portion_;
  bool open_ = false;
  Buffer vectors_, next_, zero_, one_, chosen_;
  std::vector<std::uint64_t> prefixes_;
  std::vector<std::int64_t> numbers_;
};

// Probability that the sites with column[i] >= 0 show wanted[column[i]].
double probability(const Chain& chain, std::span<const int> column, std::span<const std::uint8_t> wanted,
                   LinearAlgebra& algebra);

}  // namespace qrex::mps
