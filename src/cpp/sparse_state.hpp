// Nonzero amplitudes in chunks, the memory they may take, and what turns one state into the next.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "sparse_plan.hpp"

namespace qrex::sparse {

constexpr std::uint32_t kChunk = 2048;    // amplitudes per chunk
constexpr double kDropped = 1e-22;        // |amplitude|^2 below it is not kept

struct OutOfMemory {};  // the allotment would be passed

// What is held of an allotment, and the most that was.
class Budget {
 public:
  explicit Budget(std::size_t limit) : limit_(limit) {}
  void take(std::size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (held_ + bytes > limit_) throw OutOfMemory{};
    held_ += bytes;
    if (held_ > peak_) peak_ = held_;
  }
  void give(std::size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    held_ -= bytes;
  }
  std::size_t held() const { return held_; }
  std::size_t peak() const { return peak_; }
  std::size_t limit() const { return limit_; }

 private:
  std::mutex mutex_;
  const std::size_t limit_;
  std::size_t held_ = 0, peak_ = 0;
};

// Pages from the system, counted; contents are lost when it grows.
class Region {
 public:
  explicit Region(Budget& budget) : budget_(&budget) {}
  Region(Region&& other) noexcept
      : budget_(other.budget_), data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)),
        touched_(other.touched_) {}
  ~Region() { release(); }
  void reserve(std::size_t bytes);  // throws OutOfMemory
  void release();
  // Touches some more pages, up to `bytes` from the start: the system clears them then, a second per gigabyte,
  // and scattered writes would have it do so all at once. True when all are there.
  bool touch(std::size_t bytes, int threads);
  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  Budget* budget_;
  void* data_ = nullptr;
  std::size_t bytes_ = 0, touched_ = 0;
};

struct Chunk {
  std::uint64_t* keys;  // `words` per amplitude
  Amplitude* amps;
  std::uint32_t count;
};

// Chunks, handed out and taken back; memory returns to the system only with the pool.
class Pool {
 public:
  Pool(Budget& budget, std::uint32_t words) : budget_(&budget), words_(words) {}
  Chunk get();
  void put(const Chunk& chunk);
  std::size_t chunk_bytes() const { return kChunk * (words_ * 8 + sizeof(Amplitude)); }

 private:
  Budget* budget_;
  std::uint32_t words_;
  std::mutex mutex_;
  std::vector<Region> slabs_;
  std::vector<Chunk> free_;
};

struct State {
  std::vector<Chunk> chunks;
  std::uint64_t size() const {
    std::uint64_t sum = 0;
    for (const Chunk& chunk : chunks) sum += chunk.count;
    return sum;
  }
};

// Order-free sums: |amplitude|^2 as a whole number of 2^-62, so that no order of summation matters.
inline std::uint64_t weight(Amplitude a) {
  return static_cast<std::uint64_t>((a.real() * a.real() + a.imag() * a.imag()) * 0x1p62 + 0.5);
}

// Working memory of one thread for combining amplitudes.
struct Scratch {
  std::vector<std::uint32_t> slots;
  std::vector<std::uint64_t> bases, occupied;
  std::vector<Amplitude> entries;
  std::vector<const LocalGate*> gates;
  std::size_t bytes() const {
    return slots.capacity() * 4 + (bases.capacity() + occupied.capacity()) * 8 + entries.capacity() * 16;
  }
};

// Amplitudes to combine: keys and amplitudes with strides in words of 8 bytes.
struct Source {
  const std::uint64_t* keys;
  const double* amps;
  std::uint32_t key_stride, amp_stride;
  std::uint32_t count;
};

// Appends amplitudes to chunks from a pool.
class Appender {
 public:
  Appender(Pool& pool, std::uint32_t words) : pool_(&pool), words_(words) {}
  Chunk& room() {  // a chunk with a free place
    if (chunks.empty() || chunks.back().count == kChunk) chunks.push_back(pool_->get());
    return chunks.back();
  }
  std::vector<Chunk> chunks;
  double dropped = 0;

 private:
  Pool* pool_;
  std::uint32_t words_;
};

// What depends on the number of words of a key.
struct Kernels {
  // One step of the kinds before Kind::One on `count` amplitudes.
  void (*sweep)(const Plan&, const Step&, std::uint64_t* keys, Amplitude* amps, std::uint32_t count);
  // A block on all amplitudes of `source` (whole groups); `gates`: those whose guards hold.
  void (*combine)(const Plan&, const Block&, const Source& source, const std::vector<const LocalGate*>& gates,
                  Scratch&, Appender&);
  // hash of the key without the block's bits
  std::uint64_t (*base_hash)(const Plan&, const Block&, const std::uint64_t* key);
  // Histogram of the top `bits` bits of base hashes, and the records moved by them: `words` + 2 words each.
  void (*count)(const Plan&, const Block&, const Chunk&, int bits, std::uint32_t* histogram);
  void (*scatter)(const Plan&, const Block&, const Chunk&, int bits, std::uint64_t* next, std::uint64_t* records);
};
const Kernels& kernels_for(std::uint32_t words);

std::uint64_t key_hash(const std::uint64_t* key, std::uint32_t words);

}  // namespace qrex::sparse
