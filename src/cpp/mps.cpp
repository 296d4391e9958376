// Binds matrix product states: `MatrixProductRun`. References: Vidal, quant-ph/0301063; Hastings, arXiv:0903.3253.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings.hpp"
#include "mps_run.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace qrex {
namespace {

template <class T>
nb::ndarray<nb::numpy, T, nb::ndim<1>> array(std::vector<T> values) {
  auto* kept = new std::vector<T>(std::move(values));
  nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return {kept->data(), {kept->size()}, owner};
}

template <class F>
F address(const nb::dict& routines, const char* name) {
  return reinterpret_cast<F>(nb::cast<std::uintptr_t>(routines[name]));
}

mps::Routines routines_from(const nb::dict& from) {
  mps::Routines out;
  out.gemm = address<mps::Routines::Gemm>(from, "zgemm");
  out.heevd = address<mps::Routines::Heevd>(from, "zheevd");
  out.geqrf = address<mps::Routines::Geqrf>(from, "zgeqrf");
  out.geqp3 = address<mps::Routines::Geqp3>(from, "zgeqp3");
  out.ungqr = address<mps::Routines::Ungqr>(from, "zungqr");
  out.set_threads = address<mps::Routines::SetThreads>(from, "set_threads");
  return out;
}

}  // namespace

void bind_mps(nb::module_& m) {
  static nb::exception<mps::MemoryLimit> limit(m, "MatrixProductMemoryLimit", PyExc_MemoryError);

  nb::class_<mps::Run>(m, "MatrixProductRun", "A circuit run as a matrix product state, step by step.")
      .def("__init__",
           [](mps::Run* self, nb::handle program, const nb::dict& routines, std::int64_t shots, std::uint64_t seed,
              int threads, std::size_t memory_bytes, double threshold, double coarse, int generous,
              double relaxed, double budget, double max_infidelity, double seconds_per_product) {
             auto circuit = std::make_shared<const Circuit>(program);
             const mps::Settings settings{threads, memory_bytes, {threshold, coarse, generous, relaxed, budget}, max_infidelity,
                                          seconds_per_product};
             new (self) mps::Run(std::move(circuit), routines_from(routines), settings, shots, seed);
           },
           "program"_a, "routines"_a, "shots"_a, "seed"_a, "threads"_a, "memory_bytes"_a, "threshold"_a = 1e-14, "coarse"_a = 0.0,
           "generous"_a = 1, "relaxed"_a = 0.0, "budget"_a = 0.0, "max_infidelity"_a = 1e-3, "seconds_per_product"_a = 5e-10,
           "`routines`: addresses of zgemm, zheevd, zgeqrf, zgeqp3, zungqr with 32-bit integers, and of set_threads or 0.")
      .def("advance",
           [](mps::Run& self, double seconds) {
             mps::Progress out;
             {
               nb::gil_scoped_release unlocked;
               out = self.advance(seconds);
             }
             return nb::make_tuple(out.done, out.fraction, out.bond, out.bytes, out.forecast);
           },
           "seconds"_a, "Run rows; (done, fraction, largest bond, bytes held, seconds expected for the rest).")
      .def("sample",
           [](mps::Run& self, double seconds) {
             nb::gil_scoped_release unlocked;
             return self.sample(seconds);
           },
           "seconds"_a, "Draw the shots that are left; whether that is done.")
      .def("samples", [](const mps::Run& self) { return nb::make_tuple(array(self.rows), array(self.counts)); },
           "Distinct rows of 64-bit words, classical bit c in bit c, and their counts; rows of different branches may agree.")
      .def("probability",
           [](mps::Run& self, nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu> bits) {
             nb::gil_scoped_release unlocked;
             return self.probability({bits.data(), bits.size()});
           },
           "bits"_a, "Exact probability of one value of all classical bits, bit 0 first.")
      .def("amplitudes", [](mps::Run& self) { return array(self.amplitudes()); },
           "All amplitudes of a small state before sampling, qubit 0 least significant.")
      .def_prop_ro("infidelity", &mps::Run::infidelity, "Bound on what truncations lost.")
      .def_prop_ro("largest_bond", &mps::Run::largest_bond)
      .def_prop_ro("updates", &mps::Run::updates)
      .def_prop_ro("branches", &mps::Run::branches);
}

}  // namespace qrex
