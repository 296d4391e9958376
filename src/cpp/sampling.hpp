// Samples and probabilities of a planar state.
#pragma once

#include <cstdint>
#include <vector>

#include "program.hpp"

namespace qrex {

constexpr std::uint64_t kNormBlock = 1 << 12;  // amplitudes per entry of block_norms

// Sums of |amplitude|^2 over consecutive blocks of kNormBlock amplitudes (the last may be shorter). They do
// not depend on the number of threads.
std::vector<double> block_norms(const float* re, const float* im, std::uint64_t size, int threads,
                                const KernelSet& kernels);

// For each u in `ascending`, within [0, 1): the index at which the cumulated probability passes u times the
// whole. Reads only the blocks that are hit. An index of probability zero is never returned.
std::vector<std::uint64_t> sample(const float* re, const float* im, std::uint64_t size,
                                  const std::vector<double>& norms, const double* ascending, std::size_t count,
                                  int threads);

// Sum of |amplitude|^2 over the indices x with (x & mask) == value: 2^(qubits not in mask) reads.
double masked_norm(const float* re, const float* im, std::uint64_t size, std::uint64_t mask, std::uint64_t value);

}  // namespace qrex
