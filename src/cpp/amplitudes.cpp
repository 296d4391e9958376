#include "amplitudes.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "memory.hpp"
#include "parallel.hpp"

namespace qrex::dense {
namespace {

constexpr std::size_t kMapped = std::size_t{1} << 20;  // bytes from which a plane is mapped memory
constexpr std::size_t kPage = 4096;
constexpr std::uint64_t kItem = std::uint64_t{1} << 16;  // amplitudes summed as one

std::size_t mapped_bytes(std::size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

float* map(std::size_t bytes) {
  void* p = mmap(nullptr, mapped_bytes(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) throw std::bad_alloc();
  return static_cast<float*>(p);
}

void advise(float* memory, std::size_t bytes) {
#ifdef MADV_HUGEPAGE
  if (bytes >= (std::size_t{1} << 22)) madvise(memory, mapped_bytes(bytes), MADV_HUGEPAGE);
#endif
}

// out[x] = scale * in[x with `outcome` put in at `position`], for `count` x; in and out may be the same.
void extract(const float* in, float* out, std::uint64_t count, int position, bool outcome, float scale) {
  const std::uint64_t run = std::uint64_t{1} << position;
  const float* from = in + (outcome ? run : 0);
  for (std::uint64_t x = 0; x < count; x += run, from += 2 * run)
    for (std::uint64_t k = 0; k < run; ++k) out[x + k] = scale * from[k];
}

}  // namespace

void Plane::release() {
  if (!memory_) return;
  const std::size_t bytes = (count_ + skew_) * sizeof(float);
  if (bytes >= kMapped) munmap(memory_, mapped_bytes(bytes));
  else std::free(memory_);
  memory_ = nullptr;
  count_ = 0;
}

void Plane::resize(std::size_t count) {
  if (count == count_) return;
  const std::size_t was = memory_ ? (count_ + skew_) * sizeof(float) : 0, bytes = (count + skew_) * sizeof(float);
#ifdef MREMAP_MAYMOVE
  if (was >= kMapped && bytes >= kMapped) {
    void* p = mremap(memory_, mapped_bytes(was), mapped_bytes(bytes), MREMAP_MAYMOVE);
    if (p == MAP_FAILED) throw std::bad_alloc();
    memory_ = static_cast<float*>(p);
    if (bytes < was) std::memset(reinterpret_cast<char*>(memory_) + bytes, 0, mapped_bytes(bytes) - bytes);
    count_ = count;
    return advise(memory_, bytes);
  }
#endif
  float* fresh;
  if (bytes >= kMapped) {
    fresh = map(bytes);
    advise(fresh, bytes);
  } else {
    fresh = static_cast<float*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
    if (!fresh) throw std::bad_alloc();
    std::memset(fresh, 0, bytes);
  }
  if (memory_) std::memcpy(fresh, memory_, std::min(was, bytes));
  release();
  memory_ = fresh;
  count_ = count;
}

Amplitudes::Amplitudes() : re(0), im(kSkewFloats) {}

void Amplitudes::start(int count) {
  resize(count);
  re.data()[0] = 1;
}

void Amplitudes::resize(int count) {
  const std::uint64_t size = std::uint64_t{1} << count;
  re.resize(size);
  im.resize(size);
  positions = count;
}

std::pair<double, double> Amplitudes::halves(int position, int threads, const KernelSet& kernels) const {
  const std::uint64_t item = std::min(kItem, size()), items = size() / item, run = std::uint64_t{1} << position;
  std::vector<double> zero(items), one(items);
  parallel_for(items, items > 4 ? threads : 1, [&](int, std::uint64_t k) {
    const float *r = re.data() + k * item, *m = im.data() + k * item;
    if (run >= item) {
      (k * item & run ? one : zero)[k] = kernels.norm(r, m, item);
    } else if (position >= kernels.lane_bits) {
      for (std::uint64_t x = 0; x < item; x += run) (x & run ? one : zero)[k] += kernels.norm(r + x, m + x, run);
    } else {
      double sums[2] = {0, 0};
      for (std::uint64_t x = 0; x < item; ++x) sums[x >> position & 1] += double(r[x]) * r[x] + double(m[x]) * m[x];
      zero[k] = sums[0], one[k] = sums[1];
    }
  });
  double sums[2] = {0, 0};
  for (std::uint64_t k = 0; k < items; ++k) sums[0] += zero[k], sums[1] += one[k];
  return {sums[0], sums[1]};
}

void Amplitudes::collapse(int position, bool outcome, float scale, int count) {
  const std::uint64_t rest = size() / 2;
  for (Plane* plane : {&re, &im}) {
    extract(plane->data(), plane->data(), rest, position, outcome, scale);
    if (count == positions) std::memset(plane->data() + rest, 0, rest * sizeof(float));
  }
  resize(count);
}

Amplitudes Amplitudes::half(int position, bool outcome, float scale, int count) const {
  Amplitudes out;
  out.resize(count);
  extract(re.data(), out.re.data(), size() / 2, position, outcome, scale);
  extract(im.data(), out.im.data(), size() / 2, position, outcome, scale);
  return out;
}

}  // namespace qrex::dense
