#include "bindings.hpp"

namespace qrex {

void bind_stim_text(nanobind::module_&) {}

}  // namespace qrex
