// Binds qrex's compiled kernels. One module for the whole project: `qrex._kernels`.
//
// States are planar float32: one array of real parts, one of imaginary parts, qubit position 0 least
// significant. Loops over amplitudes run without the interpreter lock.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>

#include "bindings.hpp"
#include "instruction_sets.hpp"
#include "memory.hpp"
#include "planning.hpp"
#include "sampling.hpp"
#include "stage.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Floats = nb::ndarray<float, nb::numpy, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Uniforms = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Matrix = nb::ndarray<const qrex::Complex, nb::c_contig, nb::device::cpu>;
using Masks = nb::ndarray<const std::uint64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Weights = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

const qrex::Complex* entries(const Matrix& matrix, std::size_t count) {
  if (matrix.size() != count)
    throw std::invalid_argument("expected " + std::to_string(count) + " matrix entries, got " +
                                std::to_string(matrix.size()));
  return matrix.data();
}

std::uint64_t state_size(const Floats& re, const Floats& im) {
  const std::uint64_t size = re.shape(0);
  if (size != im.shape(0) || (size & (size - 1)) || size < 16)
    throw std::invalid_argument("a state has two arrays of the same power of two, at least 16");
  return size;
}

template <class T>
nb::ndarray<nb::numpy, T, nb::ndim<1>> to_numpy(std::vector<T> values) {
  auto* kept = new std::vector<T>(std::move(values));
  nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return {kept->data(), {kept->size()}, owner};
}

nb::tuple allocate_state(int num_qubits) {
  if (num_qubits < 4 || num_qubits > 62) throw std::invalid_argument("a state has 4 to 62 qubits");
  const std::size_t size = std::size_t{1} << num_qubits;
  auto* memory = new qrex::AlignedFloats(2 * size + qrex::kSkewFloats);
  nb::capsule owner(memory, [](void* p) noexcept { delete static_cast<qrex::AlignedFloats*>(p); });
  float* data = memory->data();
  return nb::make_tuple(Floats(data, {size}, owner), Floats(data + size + qrex::kSkewFloats, {size}, owner));
}

std::vector<qrex::PendingGate> pending(const Masks& dense, const Masks& zed, const Weights& weight) {
  if (dense.size() != zed.size() || dense.size() != weight.size())
    throw std::invalid_argument("one dense mask, one zed mask and one weight per gate");
  std::vector<qrex::PendingGate> gates(dense.size());
  for (std::size_t k = 0; k < gates.size(); ++k) gates[k] = {dense(k), zed(k), weight(k)};
  return gates;
}

}  // namespace

NB_MODULE(_kernels, m) {
  m.doc() = "qrex compiled kernels";

  m.def("instruction_sets", [] {
    std::vector<std::string> names;
    for (const qrex::KernelSet* set : qrex::available_kernels()) names.emplace_back(set->name);
    return names;
  }, "Names of the kernel sets that this processor runs, best first.");
  m.def("instruction_set", [](const std::string& name) { return std::string(qrex::find_kernels(name).name); },
        "name"_a = "", "The kernel set used for `name`; the best one by default. ValueError if it is not here.");
  m.def("lane_bits", [](const std::string& name) { return qrex::find_kernels(name).lane_bits; }, "instruction_set"_a = "",
        "log2 of the amplitudes per vector: that many lowest positions are local in every stage.");
  m.def("allocate_state", &allocate_state, "num_qubits"_a,
        "Zeroed real and imaginary parts of 2^num_qubits amplitudes, in one piece of memory.");

  nb::class_<qrex::Stage>(m, "Stage", "Local positions of a state and the gates on them, run in one pass.")
      .def("__init__",
           [](qrex::Stage* self, int num_qubits, std::vector<int> local, int inner_bits, const std::string& set) {
             new (self) qrex::Stage(num_qubits, std::move(local), inner_bits, qrex::find_kernels(set));
           },
           "num_qubits"_a, "local"_a, "inner_bits"_a = 11, "instruction_set"_a = "")
      .def("one",
           [](qrex::Stage& self, int target, const Matrix& matrix, std::uint64_t control_mask,
              std::uint64_t control_value) { self.one(target, entries(matrix, 4), control_mask, control_value); },
           "target"_a, "matrix"_a, "control_mask"_a = 0, "control_value"_a = 0,
           "2x2 complex128 on the amplitudes x with (x & control_mask) == control_value.")
      .def("select",
           [](qrex::Stage& self, int selector, int target, const Matrix& matrices) {
             self.select(selector, target, entries(matrices, 8));
           },
           "selector"_a, "target"_a, "matrices"_a, "matrices[b] (2x2) where the bit at `selector` is b.")
      .def("two",
           [](qrex::Stage& self, int q0, int q1, const Matrix& matrix, std::uint64_t control_mask,
              std::uint64_t control_value) { self.two(q0, q1, entries(matrix, 16), control_mask, control_value); },
           "q0"_a, "q1"_a, "matrix"_a, "control_mask"_a = 0, "control_value"_a = 0,
           "4x4 complex128 under controls; q0 is the low bit of its index.")
      .def("many",
           [](qrex::Stage& self, const std::vector<int>& positions, const Matrix& matrix) {
             self.many(positions, entries(matrix, std::size_t{1} << 2 * positions.size()));
           },
           "positions"_a, "matrix"_a, "2^k x 2^k complex128; the first position is the low bit of its index.")
      .def("table",
           [](qrex::Stage& self, const std::vector<int>& positions, const Matrix& diagonal) {
             self.table(positions, entries(diagonal, std::size_t{1} << positions.size()));
           },
           "positions"_a, "diagonal"_a, "2^k diagonal entries; the first position is the low bit of their index.")
      .def("diagonal", &qrex::Stage::diagonal, "masks"_a, "angles"_a,
           "Product of exp(i angles[k]) over the k for which x contains masks[k].")
      .def("workspace_bytes", &qrex::Stage::workspace_bytes, "threads"_a)
      .def("run",
           [](const qrex::Stage& self, Floats re, Floats im, int threads, std::uint64_t zero_mask) {
             if (state_size(re, im) != std::uint64_t{1} << self.num_qubits())
               throw std::invalid_argument("the state has another number of qubits than the stage");
             nb::gil_scoped_release unlocked;
             self.run(re.data(), im.data(), threads, zero_mask);
           },
           "re"_a, "im"_a, "threads"_a = 1, "zero_mask"_a = 0,
           "Apply to the state in place; indices that meet zero_mask are known to be zero.");

  m.def("block_norms", [](Floats re, Floats im, int threads, const std::string& set) {
    const std::uint64_t size = state_size(re, im);
    const qrex::KernelSet& kernels = qrex::find_kernels(set);
    std::vector<double> norms;
    {
      nb::gil_scoped_release unlocked;
      norms = qrex::block_norms(re.data(), im.data(), size, threads, kernels);
    }
    return to_numpy(std::move(norms));
  }, "re"_a, "im"_a, "threads"_a = 1, "instruction_set"_a = "",
        "Sums of |amplitude|^2 over consecutive blocks of 4096, independent of the threads.");
  m.def("sample", [](Floats re, Floats im, Weights norms, Uniforms ascending, int threads) {
    const std::uint64_t size = state_size(re, im);
    if (norms.size() != (size + qrex::kNormBlock - 1) / qrex::kNormBlock)
      throw std::invalid_argument("the norms belong to another state");
    const std::vector<double> blocks(norms.data(), norms.data() + norms.size());
    std::vector<std::uint64_t> out;
    {
      nb::gil_scoped_release unlocked;
      out = qrex::sample(re.data(), im.data(), size, blocks, ascending.data(), ascending.size(), threads);
    }
    return to_numpy(std::move(out));
  }, "re"_a, "im"_a, "norms"_a, "ascending"_a, "threads"_a = 1,
        "Basis states for ascending uniforms in [0, 1), with `norms` from block_norms.");
  m.def("masked_norm", [](Floats re, Floats im, std::uint64_t mask, std::uint64_t value) {
    const std::uint64_t size = state_size(re, im);
    nb::gil_scoped_release unlocked;
    return qrex::masked_norm(re.data(), im.data(), size, mask, value);
  }, "re"_a, "im"_a, "mask"_a, "value"_a, "Sum of |amplitude|^2 over the indices x with (x & mask) == value.");

  m.def("choose_local", [](Masks dense, Masks zed, Weights weight, std::uint64_t all, std::uint64_t fixed, int capacity) {
    return qrex::choose_local(pending(dense, zed, weight), all, fixed, capacity);
  }, "dense"_a, "zed"_a, "weight"_a, "all"_a, "fixed"_a, "capacity"_a,
        "Set of at most `capacity` qubits, containing `fixed`, that lets much of the pending gates run.");
  m.def("reachable", [](Masks dense, Masks zed, Weights weight, std::uint64_t all, std::uint64_t local) {
    return to_numpy(qrex::reachable(pending(dense, zed, weight), all, local));
  }, "dense"_a, "zed"_a, "weight"_a, "all"_a, "local"_a,
        "For each pending gate, in order, whether it can run while `local` is local.");

  qrex::bind_circuit(m);
  qrex::bind_reduction(m);
  qrex::bind_sparse(m);
  qrex::bind_mps(m);
  qrex::bind_dense(m);
  qrex::bind_stim_text(m);
  qrex::bind_codecs(m);
  qrex::bind_tiers(m);
  qrex::bind_twin(m);
}
