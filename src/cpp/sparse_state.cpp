#include "sparse_state.hpp"

#include <sys/mman.h>

#include <algorithm>

#include "parallel.hpp"

namespace qrex::sparse {

void Region::reserve(std::size_t bytes) {
  if (bytes <= bytes_) return;
  release();
  bytes = (bytes + 4095) / 4096 * 4096;
  budget_->take(bytes);
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) {
    budget_->give(bytes);
    throw OutOfMemory{};
  }
#ifdef MADV_HUGEPAGE
  if (bytes >= (std::size_t{1} << 22)) madvise(p, bytes, MADV_HUGEPAGE);
#endif
  data_ = p;
  bytes_ = bytes;
}

void Region::release() {
  if (!data_) return;
  munmap(data_, bytes_);
  budget_->give(bytes_);
  data_ = nullptr;
  bytes_ = touched_ = 0;
}

bool Region::touch(std::size_t bytes, int threads) {
  constexpr std::size_t kPiece = 2 << 20;
  const std::size_t end = std::min(bytes, touched_ + kPiece * 4 * threads);
  if (end <= touched_) return true;
  const std::size_t pieces = (end - touched_ + kPiece - 1) / kPiece;
  parallel_for(pieces, threads, [&](int, std::uint64_t piece) {
    auto* at = static_cast<volatile char*>(data_);
    const std::size_t last = std::min(end, touched_ + (piece + 1) * kPiece);
    for (std::size_t k = touched_ + piece * kPiece; k < last; k += 4096) at[k] = 0;
  });
  touched_ = end;
  return touched_ >= bytes;
}

Chunk Pool::get() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (free_.empty()) {
    // Few chunks at first: most states are tiny.
    std::size_t count = std::clamp<std::size_t>(slabs_.size() * 2, 2, 64);
    Region slab(*budget_);
    try {
      slab.reserve(count * chunk_bytes());
    } catch (const OutOfMemory&) {
      slab.reserve((count = 1) * chunk_bytes());
    }
    auto* at = static_cast<std::uint64_t*>(slab.data());
    for (std::size_t k = 0; k < count; ++k) {
      // Amplitudes first: keys of any number of words leave them aligned.
      auto* amps = reinterpret_cast<Amplitude*>(at);
      free_.push_back({at + 2 * kChunk, amps, 0});
      at += chunk_bytes() / 8;
    }
    std::reverse(free_.begin(), free_.end());  // lowest addresses first
    slabs_.push_back(std::move(slab));
  }
  Chunk chunk = free_.back();
  free_.pop_back();
  chunk.count = 0;
  return chunk;
}

void Pool::put(const Chunk& chunk) {
  const std::lock_guard<std::mutex> lock(mutex_);
  free_.push_back(chunk);
}

}  // namespace qrex::sparse
