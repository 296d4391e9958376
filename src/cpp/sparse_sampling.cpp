// Sampling at the end of a branch, and what comes out of a run.
#include <algorithm>
#include <bit>
#include <numeric>

#include "parallel.hpp"
#include "sparse_run.hpp"

namespace qrex::sparse {
namespace {

constexpr int kMostBucketBits = 18, kMembersBits = 6;  // about 64 amplitudes in a bucket: few are sorted per shot
constexpr std::size_t kBatch = 1 << 18;  // amplitudes sorted at a time

}  // namespace

Random::Random(std::uint64_t seed) {
  for (std::uint64_t& word : state_) {
    std::uint64_t z = seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    word = z ^ z >> 31;
  }
}

std::uint64_t Random::next() {
  auto& s = state_;
  const std::uint64_t out = std::rotl(s[0] + s[3], 23) + s[0], t = s[1] << 17;
  s[2] ^= s[0], s[3] ^= s[1], s[1] ^= s[2], s[0] ^= s[3];
  s[2] ^= t;
  s[3] = std::rotl(s[3], 45);
  return out;
}

void Run::record(const std::uint64_t* key, std::uint64_t shots) {
  const std::size_t at = rows_.size();
  rows_.insert(rows_.end(), branch_.bits.begin(), branch_.bits.end());
  std::uint64_t* row = rows_.data() + at;
  for (const Final& f : plan_.finals) {
    std::uint64_t& word = row[f.clbit >> 6];
    const std::uint64_t shift = f.clbit & 63;
    word = (word & ~(std::uint64_t{1} << shift)) | (key[f.word] >> f.shift & 1) << shift;
  }
  row_counts_.push_back(shots);
}

void Run::sample_small() {
  const Chunk& chunk = branch_.state.chunks[0];
  if (chunk.count == 1 || plan_.finals.empty()) return record(chunk.keys, branch_.shots);
  work_ += double(chunk.count) + 4.0 * double(branch_.shots);
  weights_.resize(chunk.count);
  std::uint64_t total = 0;
  for (std::uint32_t i = 0; i < chunk.count; ++i) weights_[i] = total += weight(chunk.amps[i]);
  tally_.assign(chunk.count, 0);
  for (std::uint64_t shot = 0; shot < branch_.shots; ++shot) {
    const std::uint64_t u = random_.below(total);
    ++tally_[std::upper_bound(weights_.begin(), weights_.end(), u) - weights_.begin()];
  }
  for (std::uint32_t i = 0; i < chunk.count; ++i)
    if (tally_[i]) record(chunk.keys + std::size_t{i} * plan_.words, tally_[i]);
}

// Amplitudes in an order of their own: by buckets of hashed keys, and by key in each bucket that is hit.
void Run::sample_large() {
  const auto& chunks = branch_.state.chunks;
  if (plan_.finals.empty()) return record(chunks[0].keys, branch_.shots);
  const std::uint32_t n = plan_.words;
  const int bucket_bits = std::clamp<int>(std::bit_width(size_) - kMembersBits, 4, kMostBucketBits);
  const std::size_t buckets = std::size_t{1} << bucket_bits;
  const int workers = size_ > (1 << 16) ? threads_ : 1;
  const auto bucket_of = [&](const Chunk& chunk, std::uint32_t i) {
    return key_hash(chunk.keys + std::size_t{i} * n, n) >> (64 - bucket_bits);
  };
  std::vector<std::vector<std::uint64_t>> sums(workers, std::vector<std::uint64_t>(2 * buckets));
  parallel_for(chunks.size(), workers, [&](int worker, std::uint64_t c) {
    for (std::uint32_t i = 0; i < chunks[c].count; ++i) {
      const std::size_t b = bucket_of(chunks[c], i);
      sums[worker][2 * b] += weight(chunks[c].amps[i]);
      ++sums[worker][2 * b + 1];
    }
  });
  for (int worker = 1; worker < workers; ++worker)
    for (std::size_t b = 0; b < 2 * buckets; ++b) sums[0][b] += sums[worker][b];
  const auto& sum = sums[0];
  std::uint64_t total = 0;
  for (std::size_t b = 0; b < buckets; ++b) total += sum[2 * b];
  std::vector<std::uint64_t> draws(branch_.shots);
  for (auto& draw : draws) draw = random_.below(total);
  std::sort(draws.begin(), draws.end());

  struct Member {
    std::uint32_t bucket;
    const std::uint64_t* key;
    std::uint64_t weight;
  };
  std::vector<Member> members;
  std::vector<char> wanted(buckets);
  std::uint64_t before = 0;  // weight of the buckets that are dealt with
  std::size_t next = 0;
  for (std::size_t first = 0; first < buckets && next < draws.size();) {
    // As many buckets as one batch holds, of those that some draw falls into.
    std::fill(wanted.begin(), wanted.end(), 0);
    std::size_t held = 0, last = first, drawn = next;
    std::uint64_t passed = before;
    for (; last < buckets && (held == 0 || held < kBatch); ++last) {
      const std::size_t start = drawn;
      passed += sum[2 * last];
      while (drawn < draws.size() && draws[drawn] < passed) ++drawn;
      if (drawn > start) wanted[last] = 1, held += sum[2 * last + 1];
    }
    members.clear();
    for (const Chunk& chunk : chunks)
      for (std::uint32_t i = 0; i < chunk.count; ++i)
        if (const std::size_t b = bucket_of(chunk, i); wanted[b])
          members.push_back({std::uint32_t(b), chunk.keys + std::size_t{i} * n, weight(chunk.amps[i])});
    std::sort(members.begin(), members.end(), [n](const Member& a, const Member& b) {
      if (a.bucket != b.bucket) return a.bucket < b.bucket;
      return std::lexicographical_compare(a.key, a.key + n, b.key, b.key + n);
    });
    std::size_t at = 0;
    for (std::size_t b = first; b < last; ++b) {
      std::uint64_t reached = before;
      for (; at < members.size() && members[at].bucket == b; ++at) {
        reached += members[at].weight;
        const std::size_t start = next;
        while (next < draws.size() && draws[next] < reached) ++next;
        if (next > start) record(members[at].key, next - start);
      }
      before += sum[2 * b];
    }
    first = last;
  }
}

void Run::results(std::vector<std::uint64_t>& rows, std::vector<std::uint64_t>& counts) {
  const std::size_t n = clbit_words_, all = row_counts_.size();
  std::vector<std::uint32_t> order(all);
  std::iota(order.begin(), order.end(), 0u);
  const auto row = [&](std::uint32_t k) { return rows_.data() + k * n; };
  const auto less = [&](std::uint32_t a, std::uint32_t b) {
    for (std::size_t w = n; w-- > 0;)
      if (row(a)[w] != row(b)[w]) return row(a)[w] < row(b)[w];
    return false;
  };
  std::sort(order.begin(), order.end(), less);
  for (std::size_t k = 0; k < all; ++k) {
    if (k && !less(order[k - 1], order[k])) {
      counts.back() += row_counts_[order[k]];
      continue;
    }
    rows.insert(rows.end(), row(order[k]), row(order[k]) + n);
    counts.push_back(row_counts_[order[k]]);
  }
}

std::vector<double> Run::probabilities(const std::vector<std::uint64_t>& rows, std::size_t count) const {
  if (!done_ || drew_ || branch_.state.chunks.empty()) return {};
  const std::uint32_t n = plan_.words;
  std::vector<std::uint64_t> mask(n), wanted(count * n);
  std::vector<char> possible(count, 1);
  for (const Final& f : plan_.finals) mask[f.word] |= std::uint64_t{1} << f.shift;
  for (std::size_t k = 0; k < count; ++k) {
    const std::uint64_t* row = rows.data() + k * clbit_words_;
    std::vector<std::uint64_t> rest(branch_.bits), seen(n);
    std::uint64_t* key = &wanted[k * n];
    for (const Final& f : plan_.finals) {
      const std::uint64_t one = row[f.clbit >> 6] >> (f.clbit & 63) & 1, bit = std::uint64_t{1} << f.shift;
      if ((seen[f.word] & bit) && (key[f.word] >> f.shift & 1) != one) possible[k] = 0;
      seen[f.word] |= bit;
      if (one) key[f.word] |= bit;
      rest[f.clbit >> 6] = (rest[f.clbit >> 6] & ~(std::uint64_t{1} << (f.clbit & 63))) | one << (f.clbit & 63);
    }
    if (!std::equal(rest.begin(), rest.end(), row)) possible[k] = 0;
  }
  // Open addressing over the probed keys; equal ones are found by walking on.
  std::size_t size = 4;
  while (size < 2 * count) size *= 2;
  std::vector<std::uint32_t> slots(size);
  for (std::size_t k = 0; k < count; ++k) {
    std::size_t slot = key_hash(&wanted[k * n], n) & (size - 1);
    while (slots[slot]) slot = (slot + 1) & (size - 1);
    slots[slot] = std::uint32_t(k + 1);
  }
  std::vector<double> out(count);
  std::vector<std::uint64_t> key(n);
  double norm = 0;
  for (const Chunk& chunk : branch_.state.chunks)
    for (std::uint32_t i = 0; i < chunk.count; ++i) {
      const double p = std::norm(chunk.amps[i]);
      norm += p;
      for (std::uint32_t w = 0; w < n; ++w) key[w] = chunk.keys[std::size_t{i} * n + w] & mask[w];
      for (std::size_t slot = key_hash(key.data(), n) & (size - 1); slots[slot]; slot = (slot + 1) & (size - 1))
        if (std::equal(key.begin(), key.end(), &wanted[(slots[slot] - 1) * n])) out[slots[slot] - 1] += p;
    }
  for (std::size_t k = 0; k < count; ++k) out[k] = possible[k] ? out[k] / norm : 0;
  return out;
}

}  // namespace qrex::sparse
