// A state whose qubits come and go: planar amplitudes that double and halve in place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "program.hpp"

namespace qrex::dense {

// Floats that can grow and shrink, the new ones zero. Large ones are mapped memory that moves without copying
// where the system can do that, and whose pages appear when first touched.
class Plane {
 public:
  // `skew` shifts the first float: without a shift between them, equal indices of two planes fall into the same
  // set of the first-level cache.
  explicit Plane(std::size_t skew) : skew_(skew) {}
  Plane(Plane&& other) noexcept { swap(other); }
  Plane& operator=(Plane&& other) noexcept { swap(other); return *this; }
  ~Plane() { release(); }
  void resize(std::size_t count);  // throws std::bad_alloc
  float* data() const { return memory_ + skew_; }

 private:
  void swap(Plane& other) noexcept {
    std::swap(memory_, other.memory_), std::swap(count_, other.count_), std::swap(skew_, other.skew_);
  }
  void release();
  float* memory_ = nullptr;
  std::size_t count_ = 0, skew_ = 0;
};

struct Amplitudes {
  Amplitudes();
  Plane re, im;
  int positions = -1;  // -1: nothing allocated

  std::uint64_t size() const { return positions < 0 ? 0 : std::uint64_t{1} << positions; }
  void start(int count);           // |0...0> on `count` positions
  void resize(int count);          // new positions are on top, in |0>; dropped ones must be in |0>
  // Norms of the halves in which `position` is 0 and 1; independent of the threads.
  std::pair<double, double> halves(int position, int threads, const KernelSet& kernels) const;
  // Keeps the half with `outcome`, scaled, without `position`: positions above move down. The state has `count`
  // positions then, one less or as many: then the top one is in |0>.
  void collapse(int position, bool outcome, float scale, int count);
  // That half as a state of its own.
  Amplitudes half(int position, bool outcome, float scale, int count) const;
};

}  // namespace qrex::dense
