#include "instruction_sets.hpp"

#include <stdexcept>

namespace qrex {

#if defined(__x86_64__)
extern const KernelSet kernels_avx512;
extern const KernelSet kernels_avx2;
#endif
extern const KernelSet kernels_plain;  // SSE2 on x86-64, NEON on AArch64: the platform's own baseline

const std::vector<const KernelSet*>& available_kernels() {
  static const std::vector<const KernelSet*> sets = [] {
    std::vector<const KernelSet*> found;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) found.push_back(&kernels_avx512);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found.push_back(&kernels_avx2);
#endif
    found.push_back(&kernels_plain);
    return found;
  }();
  return sets;
}

const KernelSet& find_kernels(const std::string& name) {
  if (name.empty()) return *available_kernels().front();
  std::string have;
  for (const KernelSet* set : available_kernels()) {
    if (name == set->name) return *set;
    have += (have.empty() ? "" : ", ") + std::string(set->name);
  }
  throw std::invalid_argument("no instruction set '" + name + "' on this processor; it has: " + have);
}

}  // namespace qrex
