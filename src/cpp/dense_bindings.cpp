// Binds the dense simulation of programs.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>

#include "bindings.hpp"
#include "dense.hpp"
#include "instruction_sets.hpp"
#include "work.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace qrex::dense {
namespace {

nb::dict counts(const DenseRun& run) {
  nb::dict out;
  for (const auto& [bits, count] : run.counts()) out[nb::str(bits.data(), bits.size())] = count;
  return out;
}

nb::tuple amplitudes(const DenseRun& run) {
  const Amplitudes& state = run.state();
  const auto copied = [&](const Plane& plane) {
    auto* kept = new std::vector<float>(plane.data(), plane.data() + state.size());
    nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<float>*>(p); });
    return nb::ndarray<nb::numpy, float, nb::ndim<1>>(kept->data(), {kept->size()}, owner);
  };
  nb::list sources;
  for (const Slot& bit : run.wiring().bits)
    sources.append(nb::make_tuple(bit.wire < 0 ? -1 : static_cast<int>(run.layout().position_of[bit.wire]), bit.value));
  return nb::make_tuple(copied(state.re), copied(state.im), sources);
}

nb::dict plan(nb::handle program, const BlockSizes& sizes) {
  const Circuit circuit(program);
  const Outlook outlook(circuit);
  Wiring wiring;
  wiring.qubits.resize(circuit.num_qubits);
  wiring.bits.resize(circuit.num_clbits);
  Gates gates;
  const Lowered lowered = lower(circuit, outlook, wiring, 0, circuit.size() + 1, gates);
  if (lowered.stop != Stop::End) throw std::invalid_argument("the program branches on a measurement");
  Layout layout;
  const std::vector<Pass> passes = plan_passes(gates, wiring.used, sizes, layout);
  constexpr const char* kKinds[] = {"phases", "one", "select", "two", "many", "table", "observe"};
  nb::list listed, staged, sources;
  for (const Gate& gate : gates.list)
    listed.append(nb::make_tuple(kKinds[static_cast<int>(gate.kind)], gate.dense, gate.zed, gate.cost));
  for (const Pass& pass : passes) {
    nb::list steps;
    for (const Step& step : pass.steps) {
      nb::list members;
      for (std::uint32_t k = 0; k < step.count; ++k) members.append(pass.order[step.first + k]);
      steps.append(members);
    }
    staged.append(nb::make_tuple(pass.local, steps));
  }
  for (const Slot& bit : wiring.bits) sources.append(nb::make_tuple(bit.wire, bit.value));
  nb::list positions;
  for (int wire = 0; wire < 64; ++wire)
    if (layout.position_of[wire] >= 0) positions.append(static_cast<int>(layout.position_of[wire]));
  nb::dict out;
  out["gates"] = listed;
  out["passes"] = staged;
  out["sources"] = sources;
  out["position_of"] = positions;
  out["wires"] = layout.wires;
  return out;
}

}  // namespace
}  // namespace qrex::dense

namespace qrex {

using namespace dense;

void bind_dense(nb::module_& m) {
  nb::class_<DenseRun>(m, "DenseRun", "A dense simulation of a program, in slices of time.")
      .def("__init__",
           [](DenseRun* self, nb::handle program, std::uint64_t shots, std::uint64_t seed, int threads,
              std::uint64_t amplitude_bytes, int block_bits, int chunk_bits, int inner_bits, const std::string& set) {
             new (self) DenseRun(std::make_unique<Circuit>(program), shots, seed, threads, amplitude_bytes,
                                 {block_bits, chunk_bits, inner_bits}, find_kernels(set));
           },
           "program"_a, "shots"_a, "seed"_a, "threads"_a, "amplitude_bytes"_a, "block_bits"_a = 15, "chunk_bits"_a = 6,
           "inner_bits"_a = 11, "instruction_set"_a = "")
      .def("advance", &DenseRun::advance, "seconds"_a, nb::call_guard<nb::gil_scoped_release>(),
           "Work for about `seconds`; whether all is done. MemoryError where amplitudes need more than `amplitude_bytes`.")
      .def_prop_ro("fraction", &DenseRun::fraction)
      .def_prop_ro("collapsed", &DenseRun::collapsed, "Whether a wire was collapsed: there is no one final state then.")
      .def_prop_ro("needed_bytes", &DenseRun::needed_bytes)
      .def_prop_ro("peak_bytes", &DenseRun::peak_bytes)
      .def_prop_ro("gates", &DenseRun::gates, "Kernel gates run, over all branches.")
      .def_prop_ro("passes", &DenseRun::passes, "Sweeps over a state.")
      .def_prop_ro("branches", &DenseRun::branches)
      .def_prop_ro("wires", &DenseRun::most_wires, "Most qubits that had amplitudes at once.")
      .def_prop_ro("norm", &DenseRun::norm)
      .def_prop_ro("all_read", &DenseRun::all_read, "Whether outcomes are basis states.")
      .def_prop_ro("size", [](const DenseRun& run) { return run.state().size(); })
      .def_prop_ro("unread", [](const DenseRun& run) {
        std::uint64_t read = 0;
        for (const Slot& bit : run.wiring().bits)
          if (bit.wire >= 0) read |= std::uint64_t{1} << bit.wire;
        return run.layout().wires - __builtin_popcountll(read);
      }, "Qubits with amplitudes that no classical bit reads.")
      .def("counts", &counts, "Bit strings and how often each was drawn.")
      .def("probability", &DenseRun::probability, "bits"_a, "Probability of a bit string, where nothing collapsed.")
      .def("collision_probability", &DenseRun::collision_probability, "Sum of the squared probabilities of basis states.")
      .def("amplitudes", &amplitudes,
           "Copies of the final state's parts, and for each classical bit its position (-1: constant) and inversion.");
  m.def("dense_outline", [](nb::handle program, std::uint64_t shots) {
    const Circuit circuit(program);
    const Outline found = outline(circuit, Outlook(circuit), shots);
    return nb::make_tuple(found.wires, found.amplitudes, found.events);
  }, "program"_a, "shots"_a, "Upper bounds of a dense simulation: wires and amplitudes held at once, collapses of a branch.");
  m.def("dense_work", [](nb::handle program, std::uint64_t shots, std::size_t most_rows, int block_bits, int chunk_bits,
                         int inner_bits) {
    const Circuit circuit(program);
    const Work found = work(circuit, shots, most_rows, {block_bits, chunk_bits, inner_bits});
    nb::dict out;
    out["wires"] = found.outline.wires;
    out["amplitudes"] = found.outline.amplitudes;
    out["branches"] = found.branches;
    out["rows"] = found.rows;
    out["gates"] = found.gates;
    out["stages"] = found.stages;
    out["narrow"] = found.narrow;
    out["wide"] = found.wide;
    out["passes"] = found.passes;
    out["collapses"] = found.collapses;
    out["sampled"] = found.sampled;
    out["outer"] = nb::tuple(nb::cast(found.outer));
    return out;
  }, "program"_a, "shots"_a, "most_rows"_a = 10'000, "block_bits"_a = 15, "chunk_bits"_a = 6, "inner_bits"_a = 11,
        "What a dense simulation has to do: bounds on wires and amplitudes, expected branches, sums over them.");
  m.def("dense_plan", [](nb::handle program, int block_bits, int chunk_bits, int inner_bits) {
    return plan(program, {block_bits, chunk_bits, inner_bits});
  }, "program"_a, "block_bits"_a = 15, "chunk_bits"_a = 6, "inner_bits"_a = 11,
        "Gates, passes and layout of a program without collapses, for inspection.");
}

}  // namespace qrex
