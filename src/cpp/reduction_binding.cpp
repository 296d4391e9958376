#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include "bindings.hpp"
#include "reduction.hpp"
#include "survey.hpp"

namespace nb = nanobind;

namespace qrex {
namespace {

template <class T>
nb::ndarray<nb::numpy, T, nb::ndim<1>> to_numpy(std::vector<T> values) {
  auto* kept = new std::vector<T>(std::move(values));
  nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return {kept->data(), {kept->size()}, owner};
}

nb::tuple conditions_of(const Guard& guard) {
  nb::list conditions;
  for (const Condition& condition : guard) {
    nb::list bits, wanted;
    for (const int c : condition.bits) bits.append(c);
    for (const std::uint8_t w : condition.wanted) wanted.append(static_cast<int>(w));
    conditions.append(nb::make_tuple(nb::tuple(bits), nb::tuple(wanted), condition.negated));
  }
  return nb::tuple(conditions);
}

nb::tuple arrays_of(PartRows& part) {
  nb::list guards;
  for (const Guard& guard : part.guards) guards.append(conditions_of(guard));
  Rows& rows = part.rows;
  nb::tuple arrays = nb::make_tuple(
      to_numpy(std::move(rows.opcode)), to_numpy(std::move(rows.qubit_start)), to_numpy(std::move(rows.qubits)),
      to_numpy(std::move(rows.param_start)), to_numpy(std::move(rows.params)), to_numpy(std::move(rows.clbit)),
      to_numpy(std::move(rows.guard)));
  return nb::make_tuple(arrays, nb::tuple(guards), part.qubits, part.clbits);
}

nb::dict reduce_program(nb::handle program) {
  const Circuit circuit(program);
  const Rows rows = rows_of(circuit);
  const std::vector<Guard> guards = guards_of(circuit);
  Reduction found;
  {
    nb::gil_scoped_release unlocked;
    found = reduce(rows, guards, circuit.num_qubits, circuit.num_clbits);
  }
  nb::list parts;
  for (PartRows& part : found.parts) parts.append(arrays_of(part));
  nb::dict out;
  out["bit"] = to_numpy(std::move(found.bit));
  out["coin_bits"] = to_numpy(std::move(found.coin_bits));
  out["coin_ones"] = to_numpy(std::move(found.coin_ones));
  out["parts"] = parts;
  out["relabelled"] = found.relabelled;
  out["folded"] = found.folded;
  out["unseen"] = found.unseen;
  out["rows_after"] = found.rows_after;
  out["qubits_after"] = found.qubits_after;
  return out;
}

nb::dict survey_program(nb::handle program, bool reduced) {
  const Circuit circuit(program);
  const Rows rows = rows_of(circuit);
  const std::vector<Guard> guards = guards_of(circuit);
  Survey found;
  {
    nb::gil_scoped_release unlocked;
    found = survey(rows, guards, circuit.num_qubits, circuit.num_clbits, reduced);
  }
  nb::dict out;
  out["rows_of"] = std::vector<std::int64_t>(found.rows_of.begin(), found.rows_of.begin() + static_cast<int>(Op::kDiagonal) + 1);
  out["widths"] = std::vector<std::int64_t>(found.widths.begin(), found.widths.end());
  out["fused_blocks"] = found.fused_blocks;
  out["non_clifford"] = found.non_clifford;
  out["clifford_prefix"] = found.clifford_prefix;
  out["depth"] = found.depth;
  out["active"] = found.active;
  out["components"] = found.components;
  out["widest"] = found.widest;
  out["terminal"] = found.terminal;
  out["trajectories"] = found.trajectories;
  out["first_foreign"] = found.first_foreign;
  out["stabilizer_forks"] = found.stabilizer_forks;
  out["max_log2"] = found.bonds.max_log2;
  out["mps_updates"] = found.bonds.updates;
  out["log2_work"] = found.bonds.log2_work;
  out["log2_elements"] = found.bonds.log2_elements;
  out["log2_support"] = found.log2_support;
  return out;
}

}  // namespace

void bind_reduction(nb::module_& m) {
  m.def("reduce_program", &reduce_program, nb::arg("program"), "A program's certain bits, coins and independent parts.");
  m.def("survey_program", &survey_program, nb::arg("program"), nb::arg("reduced"),
        "Counts, flags and bounds of a program; see qrex/profile/analysis.py.");
}

}  // namespace qrex
