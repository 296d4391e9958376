#include "bindings.hpp"

namespace qrex {

void bind_sparse(nanobind::module_&) {}

}  // namespace qrex
