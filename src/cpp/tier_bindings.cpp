// Binds what the tiered state vector is made of: lowered segments, their stages, and block transfers.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/complex.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <bit>
#include <memory>

#include "bindings.hpp"
#include "instruction_sets.hpp"
#include "lowering.hpp"
#include "parallel.hpp"
#include "permutation.hpp"
#include "tier_io.hpp"
#include "sums.hpp"
#include "tier_stage.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace qrex::dense {
namespace {

using Floats = nb::ndarray<float, nb::numpy, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Column = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <class T>
nb::ndarray<nb::numpy, T, nb::ndim<1>> to_numpy(std::vector<T>&& values) {
  auto* kept = new std::vector<T>(std::move(values));
  nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return nb::ndarray<nb::numpy, T, nb::ndim<1>>(kept->data(), {kept->size()}, owner);
}

// How far a program has been followed: its row, and where each qubit and classical bit stands.
struct Cursor {
  std::size_t row = 0;
  Wiring wiring;
};

struct Program {
  std::unique_ptr<Circuit> circuit;
  Outlook outlook;
  explicit Program(nb::handle program) : circuit(std::make_unique<Circuit>(program)), outlook(*circuit) {}
};

// The gates from a cursor to the next qubit whose outcome is needed, or to the end.
struct Segment {
  Gates gates;
  std::uint64_t before = 0, used = 0;
  Stop stop = Stop::End;
  int collapsing = -1;  // wire
  Cursor next;
  std::vector<OuterStage> stages;
  int observations = 0;  // the last gates
};

Segment segment(const Program& program, const Cursor& from) {
  Segment out;
  out.next = from;
  out.before = from.wiring.used;
  const Lowered lowered =
      lower(*program.circuit, program.outlook, out.next.wiring, from.row, program.circuit->size() + 1, out.gates);
  out.next.row = lowered.row;
  out.stop = lowered.stop;
  out.used = out.next.wiring.used;
  if (out.stop == Stop::Collapse) out.collapsing = out.next.wiring.qubits[program.circuit->qubits(lowered.row)[0]].wire;
  return out;
}

nb::list plan(Segment& segment, int first, int rest, std::uint64_t fixed) {
  if (first < 4 || rest < 4) throw std::invalid_argument("at least 4 wires are local");
  {
    nb::gil_scoped_release unlocked;
    segment.stages = plan_outer_stages(segment.gates, segment.used, first, rest, fixed);
  }
  nb::list out;
  for (const OuterStage& stage : segment.stages)
    out.append(nb::make_tuple(stage.local, stage.gates.size(), stage.cost));
  return out;
}

std::uint64_t touched_before(const Segment& segment, std::size_t index) {
  std::uint64_t touched = segment.before;
  for (std::size_t k = 0; k < index; ++k)
    for (const int gate : segment.stages[k].gates)
      if (segment.gates.list[gate].kind != GateKind::Observe) touched |= segment.gates.list[gate].dense;
  return touched;
}

void check_index(const Segment& segment, std::size_t index) {
  if (index >= segment.stages.size())
    throw std::invalid_argument("stage " + std::to_string(index) + " of " + std::to_string(segment.stages.size()) +
                                ": plan first");
}

std::uint64_t size_of(const Floats& re, const Floats& im) {
  if (re.shape(0) != im.shape(0)) throw std::invalid_argument("real and imaginary parts differ in size");
  return re.shape(0);
}

void check_reach(const std::vector<int>& bits, std::uint64_t offset, std::uint64_t size) {
  std::uint64_t mask = 0;
  for (const int b : bits) {
    if (b < 0 || b > 62 || mask >> b & 1) throw std::invalid_argument("positions must differ and lie in the state");
    mask |= std::uint64_t{1} << b;
  }
  if (mask & offset) throw std::invalid_argument("an offset uses a position that the block uses");
  if ((mask | offset) >= size) throw std::invalid_argument("a block goes beyond the sub-state");
}

void permute(Floats source_re, Floats source_im, Floats target_re, Floats target_im, const std::vector<int>& from,
             const std::vector<int>& to, std::uint64_t source_offset, std::uint64_t target_offset, float scale,
             int threads) {
  if (from.size() != to.size()) throw std::invalid_argument("as many positions in the target as in the source");
  check_reach(from, source_offset, size_of(source_re, source_im));
  check_reach(to, target_offset, size_of(target_re, target_im));
  std::vector<std::pair<int, int>> bits;
  for (std::size_t k = 0; k < from.size(); ++k) bits.emplace_back(from[k], to[k]);
  nb::gil_scoped_release unlocked;
  const BitPermutation order(std::move(bits));
  parallel_for(order.items(), std::max(threads, 1), [&](int, std::uint64_t item) {
    order.run(item, source_re.data() + source_offset, target_re.data() + target_offset, scale);
    order.run(item, source_im.data() + source_offset, target_im.data() + target_offset, scale);
  });
}

std::vector<PlacedBlock> placed(const std::vector<int>& bits, const Column<std::int64_t>& slots,
                                const Column<std::uint64_t>& offsets, std::uint64_t size) {
  if (slots.shape(0) != offsets.shape(0)) throw std::invalid_argument("one offset per slot");
  std::vector<PlacedBlock> out(slots.shape(0));
  for (std::size_t k = 0; k < out.size(); ++k) {
    check_reach(bits, offsets(k), size);
    out[k] = {slots(k), offsets(k), 0};
  }
  return out;
}

Codec codec_named(const std::string& name) {
  if (name == "float32") return Codec::Float32;
  if (name == "int16") return Codec::Int16;
  if (name == "int8") return Codec::Int8;
  throw std::invalid_argument("no codec '" + name + "': there are float32, int16 and int8");
}

}  // namespace
}  // namespace qrex::dense

namespace qrex {

using namespace dense;

void bind_tiers(nb::module_& m) {
  nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
    try {
      std::rethrow_exception(thrown);
    } catch (const FileFailure& failure) {
      nb::object error = nb::module_::import_("builtins").attr("OSError")(failure.code, failure.what());
      PyErr_SetObject(PyExc_OSError, error.ptr());
    }
  });

  nb::class_<Cursor>(m, "Cursor", "How far a program has been followed, on one branch.")
      .def_prop_ro("row", [](const Cursor& self) { return self.row; })
      .def_prop_ro("used", [](const Cursor& self) { return self.wiring.used; }, "Mask of the wires with amplitudes.")
      .def_prop_ro("sources", [](const Cursor& self) {
        nb::list out;
        for (const Slot& bit : self.wiring.bits) out.append(nb::make_tuple(static_cast<int>(bit.wire), bit.value));
        return out;
      }, "For each classical bit its wire (-1: none) and whether it is inverted, or its value.")
      .def_prop_ro("qubits", [](const Cursor& self) {
        nb::list out;
        for (const Slot& qubit : self.wiring.qubits) out.append(nb::make_tuple(static_cast<int>(qubit.wire), qubit.value));
        return out;
      }, "The same for each qubit.")
      .def("settled", [](const Cursor& self, int wire, bool outcome) {
        Cursor out = self;
        out.wiring.settle(wire, outcome);
        return out;
      }, "wire"_a, "outcome"_a, "The cursor once the wire was found in |outcome> and is gone.");

  nb::class_<Program>(m, "TieredProgram", "A program to be followed segment by segment.")
      .def("__init__", [](Program* self, nb::handle program) { new (self) Program(program); }, "program"_a)
      .def("start", [](const Program& self) {
        Cursor out;
        out.wiring.qubits.resize(self.circuit->num_qubits);
        out.wiring.bits.resize(self.circuit->num_clbits);
        return out;
      })
      .def("segment", &segment, "cursor"_a, "The gates up to the next outcome that is needed, or to the end.");

  nb::class_<Segment>(m, "Segment", "Gates between two outcomes, and the stages that they run in.")
      .def_prop_ro("before", [](const Segment& self) { return self.before; }, "Mask of the wires it starts with.")
      .def_prop_ro("used", [](const Segment& self) { return self.used; }, "Mask of the wires it ends with.")
      .def_prop_ro("gates", [](const Segment& self) { return self.gates.list.size(); })
      .def_prop_ro("collapsing", [](const Segment& self) { return self.collapsing; },
                   "The wire whose outcome is needed next; -1 at the end.")
      .def_prop_ro("next", [](const Segment& self) { return self.next; })
      .def("plan", &plan, "first"_a, "rest"_a, "fixed"_a = 0,
           "Stages with so many local wires, those of the mask `fixed` in the first: for each the mask of these, its number of gates, and their cost (a dense "
           "two-qubit gate is 16).")
      .def("observe", [](Segment& self, std::uint64_t flips, std::uint64_t signs) {
        if ((flips | signs) & ~self.used) throw std::invalid_argument("a wire without amplitudes cannot be observed");
        self.gates.observe(flips, signs);
        return self.observations++;
      }, "flips"_a, "signs"_a,
           "Ask for a product of Paulis, X or Y on the wires `flips`, Z on `signs` alone, to be observable in a stage; its "
           "number. Before planning.")
      .def("observed", [](const Segment& self, std::size_t index) {
        check_index(self, index);
        const int first = static_cast<int>(self.gates.list.size()) - self.observations;
        nb::list out;
        for (const int gate : self.stages[index].gates)
          if (gate >= first) out.append(gate - first);
        return out;
      }, "stage"_a, "Numbers of the observations to be made once a stage's gates have been applied.")
      .def("touched_before", [](const Segment& self, std::size_t index) {
        check_index(self, index);
        return touched_before(self, index);
      }, "stage"_a, "Mask of the wires that may have left |0> before a stage.")
      .def("stage", [](const Segment& self, std::size_t index, int block_bits, int chunk_bits, int inner_bits,
                       const std::string& set) {
        check_index(self, index);
        return new TierStage(self.gates, self.stages[index], self.used, touched_before(self, index),
                             BlockSizes{block_bits, chunk_bits, inner_bits}, find_kernels(set));
      }, nb::rv_policy::take_ownership, "stage"_a, "block_bits"_a = 15, "chunk_bits"_a = 6, "inner_bits"_a = 11, "instruction_set"_a = "");

  nb::class_<TierStage>(m, "TierStage", "One stage, run on its sub-states one after the other.")
      .def_prop_ro("bits", &TierStage::bits)
      .def_prop_ro("passes", &TierStage::passes)
      .def_prop_ro("fraction", &TierStage::fraction, "Of the sub-state taken up.")
      .def_prop_ro("position_of", [](const TierStage& self) {
        std::vector<int> out(self.layout().position_of.begin(), self.layout().position_of.end());
        return out;
      }, "Position of each of 64 wires, -1 where it has none.")
      .def("begin", [](TierStage& self, Floats re, Floats im, std::uint64_t value) {
        if (size_of(re, im) != std::uint64_t{1} << self.bits())
          throw std::invalid_argument("a sub-state of this stage has 2^" + std::to_string(self.bits()) + " amplitudes");
        self.begin(re.data(), im.data(), value);
      }, "re"_a, "im"_a, "value"_a, nb::keep_alive<1, 2>(), nb::keep_alive<1, 3>(),
           "Take up sub-state `value`, held in the arrays.")
      .def("advance", &TierStage::advance, "seconds"_a, "threads"_a, nb::call_guard<nb::gil_scoped_release>(),
           "Work for about `seconds`; whether all gates have been applied.");

  m.def("permute", &permute, "source_re"_a, "source_im"_a, "target_re"_a, "target_im"_a, "source_bits"_a,
        "target_bits"_a, "source_offset"_a = 0, "target_offset"_a = 0, "scale"_a = 1.0F, "threads"_a = 1,
        "Copy amplitudes: bit k of a counter is at source_bits[k] and target_bits[k].");
  m.def("pauli_sum", [](Floats re, Floats im, std::uint64_t flips, std::uint64_t signs, int threads) {
    const std::uint64_t size = size_of(re, im);
    if (flips >= size || signs >= size) throw std::invalid_argument("a position beyond the sub-state");
    nb::gil_scoped_release unlocked;
    return pauli_sum(re.data(), im.data(), size, flips, signs, threads);
  }, "re"_a, "im"_a, "flips"_a, "signs"_a, "threads"_a = 1,
        "Sum over x of conj(a[x ^ flips]) a[x] (-1)^|x & signs|.");
  m.def("marginal", [](Floats re, Floats im, const std::vector<int>& positions, int threads) {
    const std::uint64_t size = size_of(re, im);
    check_reach(positions, 0, size);
    if (positions.size() > 24) throw std::invalid_argument("a marginal of more than 24 qubits");
    std::vector<double> out;
    {
      nb::gil_scoped_release unlocked;
      out = marginal(re.data(), im.data(), size, positions, threads);
    }
    return to_numpy(std::move(out));
  }, "re"_a, "im"_a, "positions"_a, "threads"_a = 1,
        "Sums of |a[x]|^2 by the bits of x at `positions`, the first one least significant.");
  nb::class_<Desks>(m, "Desks", "What the threads that read or write blocks work in, for one call at a time.")
      .def(nb::init<int>(), "threads"_a);
  m.def("fetch_blocks", [](int descriptor, std::uint64_t slot_bytes, const std::string& codec, const std::vector<int>& bits,
                           Column<std::int64_t> slots, Column<std::uint64_t> offsets, Column<std::uint32_t> crcs,
                           float scale, Floats re, Floats im, Desks& desks) {
    std::vector<PlacedBlock> blocks = placed(bits, slots, offsets, size_of(re, im));
    if (crcs.shape(0) != blocks.size()) throw std::invalid_argument("one checksum per slot");
    for (std::size_t k = 0; k < blocks.size(); ++k) blocks[k].crc = crcs(k);
    std::vector<std::uint8_t> damaged;
    {
      nb::gil_scoped_release unlocked;
      damaged = fetch_blocks({descriptor, slot_bytes, codec_named(codec)}, bits, blocks, scale, re.data(), im.data(), desks);
    }
    return to_numpy(std::move(damaged));
  }, "descriptor"_a, "slot_bytes"_a, "codec"_a, "bits"_a, "slots"_a, "offsets"_a, "crcs"_a, "scale"_a, "re"_a, "im"_a,
        "desks"_a, "Read blocks into a sub-state; which of them are damaged. OSError where reading fails.");
  m.def("put_blocks", [](int descriptor, std::uint64_t slot_bytes, const std::string& codec, const std::vector<int>& bits,
                         Column<std::int64_t> slots, Column<std::uint64_t> offsets, Floats re, Floats im, Desks& desks) {
    std::vector<PlacedBlock> blocks = placed(bits, slots, offsets, size_of(re, im));
    std::vector<Encoded> coded;
    {
      nb::gil_scoped_release unlocked;
      put_blocks({descriptor, slot_bytes, codec_named(codec)}, bits, blocks, coded, re.data(), im.data(), desks);
    }
    std::vector<std::uint32_t> crcs;
    std::vector<std::uint8_t> zero;
    std::vector<double> norms, kept, errors;
    for (std::size_t k = 0; k < blocks.size(); ++k) {
      crcs.push_back(blocks[k].crc), zero.push_back(coded[k].zero);
      norms.push_back(coded[k].norm), kept.push_back(coded[k].kept_norm), errors.push_back(coded[k].error);
    }
    return nb::make_tuple(to_numpy(std::move(crcs)), to_numpy(std::move(zero)), to_numpy(std::move(norms)),
                          to_numpy(std::move(kept)), to_numpy(std::move(errors)));
  }, "descriptor"_a, "slot_bytes"_a, "codec"_a, "bits"_a, "slots"_a, "offsets"_a, "re"_a, "im"_a, "desks"_a,
        "Write blocks of a sub-state: checksums, which were zero (not written), norms before and after coding, and "
        "squared errors. OSError where writing fails.");
}

}  // namespace qrex
