// Rows of a program that compiled code may add to and take from, and the conditions they stand under.
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <vector>

#include "circuit.hpp"

namespace qrex {

struct Row {
  Op op;
  std::span<const std::int32_t> qubits;
  std::span<const double> params;
  int clbit = -1, guard = -1;
  int width() const { return static_cast<int>(qubits.size()); }
};

struct Rows {
  std::vector<std::uint8_t> opcode;
  std::vector<std::int32_t> qubit_start{0}, qubits, param_start{0};
  std::vector<double> params;
  std::vector<std::int32_t> clbit, guard;

  std::size_t size() const { return opcode.size(); }
  Row operator[](std::size_t i) const {
    const auto part = [i](const auto& values, const auto& start) {
      return std::span(values).subspan(start[i], start[i + 1] - start[i]);
    };
    return {static_cast<Op>(opcode[i]), part(qubits, qubit_start), part(params, param_start), clbit[i], guard[i]};
  }
  void add(const Row& row) {
    opcode.push_back(static_cast<std::uint8_t>(row.op));
    qubits.insert(qubits.end(), row.qubits.begin(), row.qubits.end());
    qubit_start.push_back(static_cast<std::int32_t>(qubits.size()));
    params.insert(params.end(), row.params.begin(), row.params.end());
    param_start.push_back(static_cast<std::int32_t>(params.size()));
    clbit.push_back(row.clbit);
    guard.push_back(row.guard);
  }
};

// Classical bits `bits` hold `wanted`, or, if negated, do not.
struct Condition {
  std::vector<std::int32_t> bits;
  std::vector<std::uint8_t> wanted;
  bool negated;
  auto operator<=>(const Condition&) const = default;
};
using Guard = std::vector<Condition>;  // all of them

inline Rows rows_of(const Circuit& circuit) {
  Rows rows;
  for (std::size_t i = 0; i < circuit.size(); ++i)
    rows.add({circuit.op(i), circuit.qubits(i), circuit.params(i), circuit.clbit(i), circuit.guard(i)});
  return rows;
}

inline std::vector<Guard> guards_of(const Circuit& circuit) {
  std::vector<Guard> guards(circuit.num_guards());
  for (std::size_t g = 0; g < guards.size(); ++g)
    circuit.conditions(static_cast<int>(g), [&](auto bits, auto wanted, bool negated) {
      guards[g].push_back({{bits.begin(), bits.end()}, {wanted.begin(), wanted.end()}, negated});
    });
  return guards;
}

// A guard where some bits are certain. `value(bit)` is 0, 1 or -1 for unknown.
enum class Holds : std::int8_t { kNever, kAlways, kDepends };

template <class Value>
Holds resolve(const Guard& guard, Value&& value, Guard& rest) {
  rest.clear();
  for (const Condition& condition : guard) {
    Condition left{{}, {}, condition.negated};
    bool differs = false;
    for (std::size_t k = 0; k < condition.bits.size() && !differs; ++k) {
      const int known = value(condition.bits[k]);
      if (known >= 0) {
        differs = known != condition.wanted[k];
        continue;
      }
      for (std::size_t j = 0; j < left.bits.size(); ++j)
        differs |= left.bits[j] == condition.bits[k] && left.wanted[j] != condition.wanted[k];
      left.bits.push_back(condition.bits[k]);
      left.wanted.push_back(condition.wanted[k]);
    }
    if (differs || left.bits.empty()) {
      if (differs != condition.negated) return Holds::kNever;
      continue;
    }
    rest.push_back(std::move(left));
  }
  return rest.empty() ? Holds::kAlways : Holds::kDepends;
}

}  // namespace qrex
