// Binds runs on states of nonzero amplitudes.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings.hpp"
#include "sparse_run.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace qrex {
namespace {

using sparse::Run;

// 1 done, 0 more to do, -1 the next step would pass the memory.
int advance(Run& run, double seconds) {
  nb::gil_scoped_release unlocked;
  try {
    return run.advance(seconds) ? 1 : 0;
  } catch (const sparse::OutOfMemory&) {
    return -1;
  } catch (const std::bad_alloc&) {
    return -1;
  }
}

nb::dict counts(Run& run) {
  std::vector<std::uint64_t> rows, shots;
  {
    nb::gil_scoped_release unlocked;
    run.results(rows, shots);
  }
  const int width = run.circuit().num_clbits;
  const std::size_t words = run.clbit_words();
  std::string text(width, '0');
  nb::dict out;
  for (std::size_t k = 0; k < shots.size(); ++k) {
    const std::uint64_t* row = rows.data() + k * words;
    for (int c = 0; c < width; ++c) text[width - 1 - c] = char('0' + (row[c >> 6] >> (c & 63) & 1));
    out[nb::str(text.data(), text.size())] = shots[k];
  }
  return out;
}

std::vector<double> probabilities(const Run& run, const std::vector<std::string>& probe) {
  const std::size_t words = run.clbit_words(), width = run.circuit().num_clbits;
  std::vector<std::uint64_t> rows(probe.size() * words);
  for (std::size_t k = 0; k < probe.size(); ++k) {
    if (probe[k].size() != width) throw std::invalid_argument("a probe has one character per classical bit");
    for (std::size_t c = 0; c < width; ++c)
      if (probe[k][width - 1 - c] == '1') rows[k * words + c / 64] |= std::uint64_t{1} << (c % 64);
  }
  nb::gil_scoped_release unlocked;
  return run.probabilities(rows, probe.size());
}

template <class T>
nb::ndarray<nb::numpy, T> to_numpy(std::vector<T> values, std::vector<std::size_t> shape) {
  auto* kept = new std::vector<T>(std::move(values));
  nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return {kept->data(), shape.size(), shape.data(), owner};
}

nb::tuple amplitudes(const Run& run) {
  const std::size_t words = std::max(1, (run.circuit().num_qubits + 63) / 64), size = run.state().size();
  std::vector<std::uint64_t> keys(size * words);
  std::vector<Amplitude> values;
  const auto& position = run.plan().position;
  std::size_t at = 0;
  for (const sparse::Chunk& chunk : run.state().chunks)
    for (std::uint32_t i = 0; i < chunk.count; ++i, ++at) {
      const std::uint64_t* key = chunk.keys + std::size_t{i} * run.plan().words;
      for (std::size_t q = 0; q < position.size(); ++q)
        if (position[q] >= 0 && key[position[q] >> 6] >> (position[q] & 63) & 1)
          keys[at * words + q / 64] |= std::uint64_t{1} << (q % 64);
      values.push_back(chunk.amps[i]);
    }
  return nb::make_tuple(to_numpy(std::move(keys), {size, words}), to_numpy(std::move(values), {size}));
}

}  // namespace

void bind_sparse(nb::module_& m) {
  nb::class_<Run>(m, "SparseRun", "A circuit run on a map of its nonzero amplitudes.")
      .def(nb::init<nb::handle, std::uint64_t, std::uint64_t, std::size_t, int, int>(), "program"_a, "shots"_a,
           "seed"_a, "memory_bytes"_a, "threads"_a = 1, "fused_bits"_a = 4)
      .def("advance", &advance, "seconds"_a,
           "Work for about that long: 1 done, 0 more to do, -1 stopped before passing memory_bytes.")
      .def("counts", &counts, "Shots by bit string, classical bit 0 rightmost.")
      .def("probabilities", &probabilities, "probe"_a,
           "Exact probabilities of bit strings; none where a random outcome came before the end.")
      .def("amplitudes", &amplitudes,
           "Keys, shape (n, words), qubit q at bit q % 64 of word q // 64, and amplitudes of the last state.")
      .def_prop_ro("fraction", &Run::fraction)
      .def_prop_ro("forecast_seconds", &Run::forecast)
      .def_prop_ro("size", &Run::size)
      .def_prop_ro("largest_size", &Run::largest)
      .def_prop_ro("held_bytes", &Run::held)
      .def_prop_ro("peak_bytes", &Run::peak)
      .def_prop_ro("branches", &Run::branches)
      .def_prop_ro("trace_distance", &Run::error)
      .def_prop_ro("words", [](const Run& run) { return run.plan().words; });
}

}  // namespace qrex
