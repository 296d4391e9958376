// Small dense linear algebra for matrix product states: products, orthonormal rows, truncated decompositions.
//
// Matrices are row by row, complex double. Tiny ones run through loops of our own, since a library call costs more
// than the work; larger ones go to BLAS and LAPACK routines handed in as pointers, so that nothing is linked.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

// Loops in double precision that gain from wider registers are compiled twice; the loader picks.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define QREX_CLONES __attribute__((target_clones("default", "arch=x86-64-v3")))
#else
#define QREX_CLONES
#endif

namespace qrex::mps {

using Scalar = std::complex<double>;

// Memory for complex numbers that is not cleared and keeps its capacity while that is not much too large.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t size) { resize(size); }
  Buffer(const Buffer& other) { *this = other; }
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(const Buffer& other) {
    if (this == &other) return *this;
    resize(other.size_);
    if (size_) std::memcpy(static_cast<void*>(data_), other.data_, size_ * sizeof(Scalar));
    return *this;
  }
  Buffer& operator=(Buffer&& other) noexcept { swap(other); return *this; }
  ~Buffer() { std::free(data_); }
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_), std::swap(size_, other.size_), std::swap(capacity_, other.capacity_);
  }
  void resize(std::size_t size) {  // contents are lost where the memory moves
    if (size > capacity_ || (capacity_ > kKeep && size < capacity_ / 4)) {
      std::free(data_);
      const std::size_t capacity = size < 8 ? 8 : size;
      data_ = static_cast<Scalar*>(std::malloc(capacity * sizeof(Scalar)));
      if (!data_) { capacity_ = size_ = 0; throw std::bad_alloc(); }
      capacity_ = capacity;
    }
    size_ = size;
  }
  Scalar* data() { return data_; }
  const Scalar* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::size_t bytes() const { return capacity_ * sizeof(Scalar); }
  Scalar& operator[](std::size_t k) { return data_[k]; }
  const Scalar& operator[](std::size_t k) const { return data_[k]; }

 private:
  static constexpr std::size_t kKeep = 4096;
  Scalar* data_ = nullptr;
  std::size_t size_ = 0, capacity_ = 0;
};

// A buffer whose contents are nobody's: copies of its owner start with none.
class Scratch : public Buffer {
 public:
  Scratch() = default;
  Scratch(const Scratch&) : Buffer() {}
  Scratch& operator=(const Scratch&) { return *this; }
  Scratch(Scratch&&) noexcept = default;
  Scratch& operator=(Scratch&&) noexcept = default;
  using Buffer::operator=;
};

// Routines of a BLAS and LAPACK with 32-bit integers; all arguments by address, matrices column by column.
struct Routines {
  using Gemm = void (*)(char*, char*, int*, int*, int*, Scalar*, Scalar*, int*, Scalar*, int*, Scalar*, Scalar*, int*);
  using Heevd = void (*)(char*, char*, int*, Scalar*, int*, double*, Scalar*, int*, double*, int*, int*, int*, int*);
  using Geqrf = void (*)(int*, int*, Scalar*, int*, Scalar*, Scalar*, int*, int*);
  using Geqp3 = void (*)(int*, int*, Scalar*, int*, int*, Scalar*, Scalar*, int*, double*, int*);
  using Ungqr = void (*)(int*, int*, int*, Scalar*, int*, Scalar*, Scalar*, int*, int*);
  using SetThreads = void (*)(int);
  Gemm gemm = nullptr;
  Heevd heevd = nullptr;
  Geqrf geqrf = nullptr;
  Geqp3 geqp3 = nullptr;
  Ungqr ungqr = nullptr;
  SetThreads set_threads = nullptr;  // may stay null
};

// What a decomposition may drop of a squared norm, as a share of it: `fine` always; up to `coarse` as long as more
// than `generous` values are left; and up to `relaxed` until all decompositions together have dropped three quarters
// of `budget`, a sum of square roots, from where it falls to nothing at the whole of it.
struct Threshold {
  double fine = 1e-14, coarse = 1e-14;
  int generous = 1;
  double relaxed = 0, budget = 0;
};

// What `split` found: `rank` rows were kept, `discarded` is the squared weight that was not; `limited` says that
// the rank limit, not the threshold, decided.
struct Split {
  int rank = 0;
  double discarded = 0;
  bool limited = false;
};

class LinearAlgebra {
 public:
  LinearAlgebra(const Routines& routines, int threads);
  ~LinearAlgebra();
  LinearAlgebra(const LinearAlgebra&) = delete;
  LinearAlgebra& operator=(const LinearAlgebra&) = delete;

  // out (m × n) = a (m × k) · b (k × n); `stride` is b's row length, n if 0.
  void multiply(int m, int k, int n, const Scalar* a, const Scalar* b, Scalar* out, int stride = 0);
  // out (m × n) = a (m × k) · adjoint of b (n × k)
  void multiply_adjoint(int m, int k, int n, const Scalar* a, const Scalar* b, Scalar* out);
  // out (m × n) = adjoint of a (k × m) · b (k × n)
  void adjoint_multiply(int m, int k, int n, const Scalar* a, const Scalar* b, Scalar* out);

  // Orthonormal rows `v` (rank × n) of theta (m × n), which is destroyed, such that theta · v† · v loses at most
  // `threshold`, or more where `limit` forbids a larger rank. The columns of theta · v† are
  // orthogonal; `values` are their norms. `hint` is the rank expected, 0 if unknown.
  Split split(Scalar* theta, int m, int n, const Threshold& threshold, int limit, int hint, Buffer& v, std::vector<double>& values);

  // The same where only density = theta† theta (n × n, destroyed) is known; `values` are still norms.
  Split split_density(Scalar* density, int n, const Threshold& threshold, int limit, Buffer& v, std::vector<double>& values);

  // a (m × n) = left (m × rank) · right (rank × n) with orthonormal rows of `right`; destroys a. Gives the rank.
  int orthonormal_rows(Scalar* a, int m, int n, Buffer& left, Buffer& right);

  std::size_t workspace_bytes() const;
  // Bytes of workspace that `split` of an m × n matrix takes at most.
  static std::size_t split_bytes(std::size_t m, std::size_t n);

 private:
  int pivoted_rows(Scalar* a, int m, int n, double stop, double& rest);  // into left_ (transposed) and right_
  int pivoted_library(Scalar* a, int m, int n, double stop, double& rest);
  void rotate(int m, int n, int rank);  // makes the rows of left_ orthogonal, changing right_ along
  // Keeps the largest of `values` (squared norms), those named by the end of order_ being the smallest.
  void truncate(double total, const Threshold& threshold, int limit, std::vector<double>& values, Split& out);
  void gather_norms(int kept, std::vector<double>& values);  // squared norms in, norms of those kept out
  void eigen(Scalar* matrix, int n);    // eigenvalues ascending in eigenvalues_, eigenvectors in the rows, conjugated
  void own_eigen(Scalar* matrix, int n);  // the same for small n
  void thread_count(std::size_t work, std::size_t worth);

  Routines call_;
  int threads_, current_ = 1;
  Buffer left_, right_, gram_, work_, tau_;
  std::vector<double> eigenvalues_, real_work_, norms_;
  std::vector<int> int_work_, order_;
};

}  // namespace qrex::mps
