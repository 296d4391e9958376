// Which kernel sets this processor can run; the choice is made at run time.
#pragma once

#include <string>
#include <vector>

#include "program.hpp"

namespace qrex {

// Best first. Never empty.
const std::vector<const KernelSet*>& available_kernels();

// The named set, or the best one for "". Throws std::invalid_argument when this processor has it not.
const KernelSet& find_kernels(const std::string& name);

}  // namespace qrex
