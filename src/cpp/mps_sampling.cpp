#include "mps_sampling.hpp"

#include <algorithm>
#include <cmath>

namespace qrex::mps {
namespace {

constexpr std::int64_t kOneByOne = 12;  // trials up to which a binomial number is drawn as single trials
constexpr std::size_t kPortionBytes = 64u << 20;

double uniform(std::mt19937_64& random) { return static_cast<double>(random() >> 11) * 0x1.0p-53; }

double norm2(const Scalar* x, int n) {
  double sum = 0;
  for (int k = 0; k < n; ++k) sum += std::norm(x[k]);
  return sum;
}

}  // namespace

std::int64_t binomial(std::int64_t trials, double p, std::mt19937_64& random) {
  if (p <= 0) return 0;
  if (p >= 1) return trials;
  if (trials > kOneByOne) return std::binomial_distribution<std::int64_t>(trials, p)(random);
  std::int64_t hits = 0;
  for (std::int64_t k = 0; k < trials; ++k) hits += uniform(random) < p;
  return hits;
}

Sampler::Sampler(const Chain& chain, std::vector<int> column, int num_columns, std::int64_t shots,
                 std::size_t memory_bytes)
    : chain_(chain), column_(std::move(column)), words_((num_columns + 63) / 64), shots_(shots), left_(shots) {
  while (first_ < chain.size() && column_[first_] < 0) ++first_;
  for (int i = first_; i < chain.size(); ++i)
    if (column_[i] >= 0) last_ = i;
  std::size_t most = 1;
  for (int i = first_; i <= last_; ++i) most = std::max<std::size_t>(most, chain[i].right);
  const std::size_t room = std::min(kPortionBytes, memory_bytes / 2);
  portion_ = std::max<std::int64_t>(1, static_cast<std::int64_t>(room / (most * 6 * sizeof(Scalar) + 16 * (words_ + 2))));
}

void Sampler::begin(std::mt19937_64& random) {
  const std::int64_t now = std::min(portion_, left_);
  left_ -= now;
  open_ = true;
  at_ = first_;
  numbers_.clear();
  if (last_ < 0) {
    numbers_.push_back(now);
    prefixes_.assign(words_, 0);
    return;
  }
  const std::vector<double>& weights = chain_[first_].weights;
  double rest = 0;
  for (const double w : weights) rest += w * w;
  std::int64_t undrawn = now;
  std::vector<int> rows;
  for (std::size_t a = 0; a < weights.size() && undrawn > 0; ++a) {
    const double p = weights[a] * weights[a];
    const std::int64_t drawn = a + 1 == weights.size() ? undrawn : binomial(undrawn, p / rest, random);
    rest -= p, undrawn -= drawn;
    if (drawn) numbers_.push_back(drawn), rows.push_back(static_cast<int>(a));
  }
  vectors_.resize(rows.size() * weights.size());
  std::fill(vectors_.data(), vectors_.data() + vectors_.size(), Scalar{});
  for (std::size_t k = 0; k < rows.size(); ++k) vectors_[k * weights.size() + rows[k]] = 1;
  prefixes_.assign(rows.size() * words_, 0);
}

bool Sampler::advance(Clock::time_point deadline, LinearAlgebra& algebra, std::mt19937_64& random) {
  while (true) {
    if (!open_) {
      if (left_ == 0) return true;
      begin(random);
    }
    for (; at_ <= last_; ++at_) {
      if (Clock::now() >= deadline) return false;
      site(at_, algebra, random);
    }
    rows.insert(rows.end(), prefixes_.begin(), prefixes_.end());
    counts.insert(counts.end(), numbers_.begin(), numbers_.end());
    open_ = false;
  }
}

void Sampler::site(int i, LinearAlgebra& algebra, std::mt19937_64& random) {
  const Site& site = chain_[i];
  const int l = site.left, r = site.right, count = static_cast<int>(numbers_.size());
  zero_.resize(static_cast<std::size_t>(count) * r);
  algebra.multiply(count, l, r, vectors_.data(), site.tensor.data(), zero_.data(), 2 * r);
  // Shots of each prefix that show 1, and the vectors that need their other half.
  std::vector<std::int64_t> ones(count);
  std::vector<int> with_one;
  for (int k = 0; k < count; ++k) {
    const double p0 = norm2(zero_.data() + static_cast<std::size_t>(k) * r, r);
    ones[k] = numbers_[k] - binomial(numbers_[k], p0 > 1 - 1e-14 ? 1.0 : p0, random);
    if (ones[k]) with_one.push_back(k);
  }
  const int some = static_cast<int>(with_one.size());
  const Scalar* sources = vectors_.data();
  if (some < count) {
    chosen_.resize(static_cast<std::size_t>(some) * l);
    for (int k = 0; k < some; ++k)
      std::copy_n(vectors_.data() + static_cast<std::size_t>(with_one[k]) * l, l, chosen_.data() + static_cast<std::size_t>(k) * l);
    sources = chosen_.data();
  }
  one_.resize(static_cast<std::size_t>(some) * r);
  if (some) algebra.multiply(some, l, r, sources, site.tensor.data() + r, one_.data(), 2 * r);
  int children = some;
  for (int k = 0; k < count; ++k) children += ones[k] < numbers_[k];
  next_.resize(static_cast<std::size_t>(children) * r);
  std::vector<std::int64_t> numbers;
  std::vector<std::uint64_t> prefixes;
  numbers.reserve(children), prefixes.reserve(static_cast<std::size_t>(children) * words_);
  const auto keep = [&](const Scalar* from, std::int64_t number, int parent, int bit) {
    const double scale = 1 / std::sqrt(norm2(from, r));
    Scalar* to = next_.data() + numbers.size() * r;
    for (int b = 0; b < r; ++b) to[b] = scale * from[b];
    numbers.push_back(number);
    const std::size_t start = prefixes.size();
    prefixes.insert(prefixes.end(), prefixes_.begin() + static_cast<std::ptrdiff_t>(parent) * words_,
                    prefixes_.begin() + static_cast<std::ptrdiff_t>(parent + 1) * words_);
    if (bit && column_[i] >= 0) prefixes[start + column_[i] / 64] |= std::uint64_t{1} << column_[i] % 64;
  };
  for (int k = 0, other = 0; k < count; ++k) {
    if (ones[k] < numbers_[k]) keep(zero_.data() + static_cast<std::size_t>(k) * r, numbers_[k] - ones[k], k, 0);
    if (ones[k]) keep(one_.data() + static_cast<std::size_t>(other++) * r, ones[k], k, 1);
  }
  numbers_.swap(numbers);
  prefixes_.swap(prefixes);
  vectors_.swap(next_);
}

double Sampler::fraction() const {
  const double site = open_ && last_ >= first_ ? static_cast<double>(at_ - first_) / (last_ - first_ + 1) : 0;
  const double closed = static_cast<double>(shots_ - left_ - (open_ ? std::min(portion_, shots_) : 0));
  return shots_ ? std::min(1.0, (closed + site * static_cast<double>(std::min(portion_, shots_))) / static_cast<double>(shots_)) : 1.0;
}

double Sampler::work() const {
  double sum = 0, prefixes = 1;
  for (int i = first_; i <= last_; ++i) {
    sum += 1.5 * prefixes * (static_cast<double>(chain_[i].left) * chain_[i].right + 4.0 * (chain_[i].right + 4));
    prefixes = std::min(2 * prefixes, static_cast<double>(shots_));
  }
  return sum;
}

std::size_t Sampler::bytes() const {
  return vectors_.bytes() + next_.bytes() + zero_.bytes() + one_.bytes() + chosen_.bytes() + 8 * rows.capacity() +
         8 * counts.capacity() + 8 * prefixes_.capacity();
}

double probability(const Chain& chain, std::span<const int> column, std::span<const std::uint8_t> wanted,
                   LinearAlgebra& algebra) {
  int first = 0, last = -1;
  while (first < chain.size() && column[first] < 0) ++first;
  for (int i = first; i < chain.size(); ++i)
    if (column[i] >= 0) last = i;
  if (last < 0) return 1.0;
  // Rows x of `rows`, the density matrix of the bond being Σ x† x.
  const std::vector<double>& weights = chain[first].weights;
  int count = static_cast<int>(weights.size());
  Buffer rows(static_cast<std::size_t>(count) * count), next, left, right;
  double whole = 0;
  std::fill(rows.data(), rows.data() + rows.size(), Scalar{});
  for (int a = 0; a < count; ++a) rows[static_cast<std::size_t>(a) * count + a] = weights[a], whole += weights[a] * weights[a];
  for (int i = first; i <= last; ++i) {
    const Site& site = chain[i];
    const int l = site.left, r = site.right;
    if (column[i] >= 0) {
      next.resize(static_cast<std::size_t>(count) * r);
      algebra.multiply(count, l, r, rows.data(), site.tensor.data() + (wanted[column[i]] ? r : 0), next.data(), 2 * r);
    } else {  // both outcomes add up: twice as many rows, of which as many as the bond are enough
      next.resize(static_cast<std::size_t>(count) * 2 * r);
      algebra.multiply(count, l, 2 * r, rows.data(), site.tensor.data(), next.data());
      count *= 2;
    }
    rows.swap(next);
    if (count > 2 * r) {
      // x† x is kept when the rows are turned by a unitary: only the right factor of the transpose matters.
      next.resize(static_cast<std::size_t>(r) * count);
      for (int a = 0; a < count; ++a)
        for (int b = 0; b < r; ++b) next[static_cast<std::size_t>(b) * count + a] = rows[static_cast<std::size_t>(a) * r + b];
      const int rank = algebra.orthonormal_rows(next.data(), r, count, left, right);
      rows.resize(static_cast<std::size_t>(rank) * r);
      for (int a = 0; a < rank; ++a)
        for (int b = 0; b < r; ++b) rows[static_cast<std::size_t>(a) * r + b] = left[static_cast<std::size_t>(b) * rank + a];
      count = rank;
    }
  }
  double sum = 0;
  for (std::size_t k = 0; k < rows.size(); ++k) sum += std::norm(rows[k]);
  return sum / whole;
}

}  // namespace qrex::mps
