// Memory for amplitudes.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>
#include <utility>

namespace qrex {

// Distance, in floats, added between real and imaginary parts: without it equal indices of both fall into the
// same set of the first-level cache (and so do gate targets), eight lines in eight ways.
constexpr std::size_t kSkewFloats = 528;

// Zeroed, page-aligned floats; pages appear when first touched, as huge pages where the system has them.
class AlignedFloats {
 public:
  explicit AlignedFloats(std::size_t count) : bytes_(count * sizeof(float)) {
    if (bytes_ == 0) return;
    void* p = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    if (bytes_ >= (std::size_t{1} << 22)) madvise(p, bytes_, MADV_HUGEPAGE);
#endif
    data_ = static_cast<float*>(p);
  }
  AlignedFloats(AlignedFloats&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  AlignedFloats& operator=(AlignedFloats&&) = delete;
  ~AlignedFloats() {
    if (data_) munmap(data_, bytes_);
  }
  float* data() const { return data_; }

 private:
  float* data_ = nullptr;
  std::size_t bytes_;
};

}  // namespace qrex
