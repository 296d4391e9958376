#include "bindings.hpp"

namespace qrex {

void bind_narrow(nanobind::module_&) {}

}  // namespace qrex
