#include "bindings.hpp"

namespace qrex {

void bind_reduction(nanobind::module_&) {}

}  // namespace qrex
