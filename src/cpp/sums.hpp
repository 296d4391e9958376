// Sums over the amplitudes of a planar state, in double precision: what observables and marginals are made of.
#pragma once

#include <complex>
#include <cstdint>
#include <vector>

namespace qrex {

// Sum over x of conj(a[x ^ flips]) a[x] (-1)^|x & signs|. Independent of the threads.
std::complex<double> pauli_sum(const float* re, const float* im, std::uint64_t size, std::uint64_t flips,
                               std::uint64_t signs, int threads);

// Sums of |a[x]|^2 by the bits of x at `positions`, the first one least significant. Independent of the threads.
std::vector<double> marginal(const float* re, const float* im, std::uint64_t size, const std::vector<int>& positions,
                             int threads);

}  // namespace qrex
