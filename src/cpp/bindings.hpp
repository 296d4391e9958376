// What each part adds to the one compiled module.
#pragma once

#include <nanobind/nanobind.h>

namespace qrex {

void bind_circuit(nanobind::module_& m);
void bind_reduction(nanobind::module_& m);
void bind_sparse(nanobind::module_& m);
void bind_mps(nanobind::module_& m);
void bind_dense(nanobind::module_& m);
void bind_stim_text(nanobind::module_& m);
void bind_codecs(nanobind::module_& m);
void bind_tiers(nanobind::module_& m);
void bind_twin(nanobind::module_& m);

}  // namespace qrex
