#include "bindings.hpp"

namespace qrex {

void bind_mps(nanobind::module_&) {}

}  // namespace qrex
