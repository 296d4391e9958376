// Programs as the text of stim circuits: which rows are the same gate, and the text once each gate is known.
//
// `distinct_gates`: O(rows). `stim_text`: O(rows), some 50 ns each; consecutive equal operations share a line.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <charconv>
#include <stdexcept>
#include <string_view>
#include <unordered_map>

#include "bindings.hpp"
#include "circuit.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace qrex {
namespace {

constexpr std::int32_t kMeasureGate = -1, kResetGate = -2;
constexpr std::int32_t kSkip = -1, kPlain = 0;

using Ints = nb::ndarray<const std::int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

nb::ndarray<nb::numpy, std::int32_t, nb::ndim<1>> to_numpy(std::vector<std::int32_t> values) {
  auto* kept = new std::vector<std::int32_t>(std::move(values));
  nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<std::int32_t>*>(p); });
  return {kept->data(), {kept->size()}, owner};
}

// Rows are the same gate when opcode, number of qubits and the bytes of all parameters agree.
nb::tuple distinct_gates(nb::handle program) {
  const Circuit circuit(program);
  std::vector<std::int32_t> gate(circuit.size()), first;
  {
    nb::gil_scoped_release unlocked;
    struct Kind {  // gates of one opcode and width
      std::int32_t plain = -1;
      std::unordered_map<std::string_view, std::int32_t> by_params;
    };
    std::vector<Kind> narrow(4 * 256);
    std::unordered_map<std::size_t, Kind> wide;
    for (std::size_t row = 0; row < circuit.size(); ++row) {
      const Op op = circuit.op(row);
      if (op == Op::kMeasure || op == Op::kReset) {
        gate[row] = op == Op::kMeasure ? kMeasureGate : kResetGate;
        continue;
      }
      const auto params = circuit.params(row);
      const std::size_t width = circuit.qubits(row).size(), key = 256 * width + static_cast<std::size_t>(op);
      Kind& kind = width < 4 ? narrow[key] : wide[key];
      const auto next = static_cast<std::int32_t>(first.size());
      std::int32_t* id = &kind.plain;
      if (!params.empty())
        id = &kind.by_params.try_emplace({reinterpret_cast<const char*>(params.data()), params.size_bytes()}, -1)
                  .first->second;
      if (*id < 0) {
        *id = next;
        first.push_back(static_cast<std::int32_t>(row));
      }
      gate[row] = *id;
    }
  }
  return nb::make_tuple(to_numpy(std::move(gate)), to_numpy(std::move(first)));
}

// Collects operations as text.
class Text {
 public:
  explicit Text(std::size_t rows) { out_.reserve(16 * rows + 64); }

  void operation(std::string_view name) {
    if (name == last_) return;
    if (!out_.empty()) out_ += '\n';
    out_ += name;
    last_ = name;
  }
  void qubit(std::int32_t index) {
    char digits[12];
    const auto end = std::to_chars(digits, digits + sizeof digits, index).ptr;
    out_ += ' ';
    out_.append(digits, end);
  }
  void record(std::int64_t back) { out_ += " rec[-" + std::to_string(back) + ']'; }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
  std::string_view last_;
};

struct GateTable {
  std::vector<std::string> names;   // of stim operations
  std::vector<std::string> controlled;  // the same under a measurement record, for Paulis
  Ints start, name, first, second;  // operations start[g]..start[g+1] of gate g; second < 0 for one qubit
};

std::string write_text(const Circuit& circuit, const GateTable& table, const Ints& gate, const Ints& action,
                       std::size_t begin, std::size_t end, std::int64_t records) {
  Text text(end - begin);
  for (std::size_t row = begin; row < end; ++row) {
    const std::int32_t act = action.size() ? action(row) : kPlain, g = gate(row);
    if (act == kSkip) continue;
    const auto qubits = circuit.qubits(row);
    if (g < 0) {
      if (act != kPlain) throw std::invalid_argument("measurements and resets cannot stand under a record");
      text.operation(g == kMeasureGate ? "M" : "R");
      text.qubit(qubits[0]);
      records += g == kMeasureGate;
      continue;
    }
    for (std::int32_t k = table.start(g); k < table.start(g + 1); ++k) {
      const std::int32_t name = table.name(k), one = qubits[table.first(k)];
      if (act == kPlain) {
        text.operation(table.names[name]);
        text.qubit(one);
        if (table.second(k) >= 0) text.qubit(qubits[table.second(k)]);
        continue;
      }
      // 2 · record + value + 1: the Pauli acts where the record holds the value.
      text.operation(table.controlled[name]);
      text.record(records - (act - 1) / 2);
      text.qubit(one);
      if ((act - 1) % 2 == 0) {
        text.operation(table.names[name]);
        text.qubit(one);
      }
    }
  }
  return text.take();
}

}  // namespace

void bind_stim_text(nb::module_& m) {
  m.def("distinct_gates", &distinct_gates, "program"_a,
        "(gate, first): gate[row] numbers equal gates, -1 a measurement, -2 a reset; first[gate] is its first row.");
  m.def("stim_text",
        [](nb::handle program, const Ints& gate, std::vector<std::string> names, std::vector<std::string> controlled,
           Ints start, Ints name, Ints first, Ints second, const Ints& action, std::size_t begin, std::size_t end,
           std::int64_t records) {
          const Circuit circuit(program);
          if (gate.size() != circuit.size() || (action.size() && action.size() != circuit.size()))
            throw std::invalid_argument("one gate, and one action or none at all, per row");
          if (begin > end || end > circuit.size()) throw std::invalid_argument("rows beyond the program");
          const GateTable table{std::move(names), std::move(controlled), start, name, first, second};
          nb::gil_scoped_release unlocked;
          return write_text(circuit, table, gate, action, begin, end, records);
        },
        "program"_a, "gate"_a, "names"_a, "controlled"_a, "start"_a, "name"_a, "first"_a, "second"_a, "action"_a,
        "begin"_a, "end"_a, "records"_a,
        "Rows begin to end as stim text, `records` measurements having been written before. Gate g is the "
        "operations start[g] to start[g + 1]: names[name] on its qubits `first` and `second`. action[row]: -1 skip, "
        "0 always, 2 * record + value + 1 where that record holds the value. ValueError on other shapes.");
}

}  // namespace qrex
