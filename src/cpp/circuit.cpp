#include "circuit.hpp"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <numbers>
#include <stdexcept>

#include "bindings.hpp"

namespace nb = nanobind;

namespace qrex {
namespace {

constexpr double kHalf = std::numbers::sqrt2 / 2;
constexpr Amplitude kI{0, 1};
constexpr int kWidestMatrix = 10;

const char* const kNames[] = {
    "measure", "reset",
    "x", "y", "z", "h", "s", "sdg", "t", "tdg", "sx", "sxdg",
    "rx", "ry", "rz", "p", "r", "u",
    "cx", "cy", "cz", "ch", "cs", "csdg", "csx",
    "cp", "crx", "cry", "crz", "cu",
    "swap", "iswap", "ecr", "dcx",
    "rxx", "ryy", "rzz", "rzx", "xx_minus_yy", "xx_plus_yy",
    "ccx", "ccz", "cswap",
    "mcx", "mcp", "mcu", "unitary", "diagonal",
};

Amplitude turn(double angle) { return {std::cos(angle), std::sin(angle)}; }

void set(Amplitude* m, Amplitude a, Amplitude b, Amplitude c, Amplitude d) {
  m[0] = a, m[1] = b, m[2] = c, m[3] = d;
}

void set_u(Amplitude* m, double theta, double phi, double lambda) {
  const double c = std::cos(theta / 2), s = std::sin(theta / 2);
  set(m, c, -turn(lambda) * s, turn(phi) * s, turn(phi + lambda) * c);
}

void set_rx(Amplitude* m, double t) { set(m, std::cos(t / 2), -kI * std::sin(t / 2), -kI * std::sin(t / 2), std::cos(t / 2)); }
void set_ry(Amplitude* m, double t) { set(m, std::cos(t / 2), -std::sin(t / 2), std::sin(t / 2), std::cos(t / 2)); }
void set_rz(Amplitude* m, double t) { set(m, turn(-t / 2), 0, 0, turn(t / 2)); }
void set_sx(Amplitude* m) { set(m, {.5, .5}, {.5, -.5}, {.5, -.5}, {.5, .5}); }

// exp(-i θ/2 A⊗B) with A, B Paulis whose product flips `flip` and multiplies |x⟩ by phase[x] on the way.
void set_pauli_rotation(std::vector<Amplitude>& m, double theta, int flip, const Amplitude (&phase)[4]) {
  for (int x = 0; x < 4; ++x) {
    m[4 * x + x] += std::cos(theta / 2);
    m[4 * (x ^ flip) + x] += -kI * std::sin(theta / 2) * phase[x];
  }
}

}  // namespace

std::vector<std::string> operation_names() { return {std::begin(kNames), std::end(kNames)}; }

template <class T>
std::span<const T> Circuit::keep(nb::handle owner, const char* name) {
  nb::object object = nb::hasattr(owner, name) ? nb::object(owner.attr(name)) : nb::object();
  Array<T> array;
  if (!object.is_valid() || !nb::try_cast<Array<T>>(object, array))
    throw std::invalid_argument(std::string("a program has a one-dimensional array '") + name + "' of another type");
  kept_.push_back(std::move(object));
  return {array.data(), array.size()};
}

Circuit::Circuit(nb::handle program) {
  num_qubits = nb::cast<int>(program.attr("num_qubits"));
  num_clbits = nb::cast<int>(program.attr("num_clbits"));
  opcode_ = keep<std::uint8_t>(program, "opcode");
  qubit_start_ = keep<std::int32_t>(program, "qubit_start");
  qubits_ = keep<std::int32_t>(program, "qubits");
  param_start_ = keep<std::int32_t>(program, "param_start");
  params_ = keep<double>(program, "params");
  clbit_ = keep<std::int32_t>(program, "clbit");
  guard_ = keep<std::int32_t>(program, "guard");
  nb::tuple guards = nb::cast<nb::tuple>(program.attr("guard_arrays")());
  nb::object holder = nb::module_::import_("types").attr("SimpleNamespace")();
  const char* names[] = {"set_start", "negated", "bit_start", "bits", "wanted"};
  for (int k = 0; k < 5; ++k) holder.attr(names[k]) = guards[k];
  set_start_ = keep<std::int32_t>(holder, "set_start");
  negated_ = keep<std::uint8_t>(holder, "negated");
  bit_start_ = keep<std::int32_t>(holder, "bit_start");
  bits_ = keep<std::int32_t>(holder, "bits");
  wanted_ = keep<std::uint8_t>(holder, "wanted");
  const std::size_t rows = size();
  if (qubit_start_.size() != rows + 1 || param_start_.size() != rows + 1 || clbit_.size() != rows ||
      guard_.size() != rows)
    throw std::invalid_argument("the arrays of a program have different lengths");
  for (const auto qubit : qubits_)
    if (qubit < 0 || qubit >= num_qubits) throw std::invalid_argument("a program names a qubit that it does not have");
}

Controlled controlled_gate(Op op, int width, std::span<const double> p) {
  Controlled out{0, {}};
  Amplitude* m = out.matrix;
  switch (op) {
    case Op::kCx: case Op::kCcx: case Op::kMcx: case Op::kX: set(m, 0, 1, 1, 0); break;
    case Op::kCy: case Op::kY: set(m, 0, -kI, kI, 0); break;
    case Op::kCz: case Op::kCcz: case Op::kZ: set(m, 1, 0, 0, -1); break;
    case Op::kCh: case Op::kH: set(m, kHalf, kHalf, kHalf, -kHalf); break;
    case Op::kCs: case Op::kS: set(m, 1, 0, 0, kI); break;
    case Op::kCsdg: case Op::kSdg: set(m, 1, 0, 0, -kI); break;
    case Op::kT: set(m, 1, 0, 0, {kHalf, kHalf}); break;
    case Op::kTdg: set(m, 1, 0, 0, {kHalf, -kHalf}); break;
    case Op::kCsx: case Op::kSx: set_sx(m); break;
    case Op::kSxdg: set(m, {.5, -.5}, {.5, .5}, {.5, .5}, {.5, -.5}); break;
    case Op::kCrx: case Op::kRx: set_rx(m, p[0]); break;
    case Op::kCry: case Op::kRy: set_ry(m, p[0]); break;
    case Op::kCrz: case Op::kRz: set_rz(m, p[0]); break;
    case Op::kCp: case Op::kMcp: case Op::kP: set(m, 1, 0, 0, turn(p[0])); break;
    case Op::kR:
      set(m, std::cos(p[0] / 2), -kI * turn(-p[1]) * std::sin(p[0] / 2), -kI * turn(p[1]) * std::sin(p[0] / 2),
          std::cos(p[0] / 2));
      break;
    case Op::kU: set_u(m, p[0], p[1], p[2]); break;
    case Op::kCu:
      set_u(m, p[0], p[1], p[2]);
      for (int k = 0; k < 4; ++k) m[k] *= turn(p[3]);
      break;
    case Op::kMcu:
      for (int k = 0; k < 4; ++k) m[k] = {p[2 * k], p[2 * k + 1]};
      break;
    case Op::kUnitary:
      if (p.size() != 8) { out.controls = -1; return out; }
      for (int k = 0; k < 4; ++k) m[k] = {p[2 * k], p[2 * k + 1]};
      break;
    case Op::kDiagonal:
      if (p.size() != 4) { out.controls = -1; return out; }
      set(m, {p[0], p[1]}, 0, 0, {p[2], p[3]});
      break;
    default: out.controls = -1; return out;
  }
  out.controls = width - 1;
  return out;
}

std::vector<Amplitude> gate_matrix(Op code, int width, std::span<const double> p) {
  if (code == Op::kMeasure || code == Op::kReset || width > kWidestMatrix)
    throw std::invalid_argument(std::string("'") + kNames[static_cast<int>(code)] + "' has no matrix here");
  const std::size_t dim = std::size_t{1} << width;
  std::vector<Amplitude> m(dim * dim);
  const Controlled simple = controlled_gate(code, width, p);
  if (simple.controls >= 0) {
    const std::size_t mask = (std::size_t{1} << simple.controls) - 1, target = std::size_t{1} << simple.controls;
    for (std::size_t x = 0; x < dim; ++x) {
      if ((x & mask) != mask) { m[x * dim + x] = 1; continue; }
      const int in = (x & target) ? 1 : 0;
      m[(x & ~target) * dim + x] = simple.matrix[in];
      m[(x | target) * dim + x] = simple.matrix[2 + in];
    }
    return m;
  }
  switch (code) {
    case Op::kUnitary:
      for (std::size_t k = 0; k < dim * dim; ++k) m[k] = {p[2 * k], p[2 * k + 1]};
      break;
    case Op::kDiagonal:
      for (std::size_t k = 0; k < dim; ++k) m[k * dim + k] = {p[2 * k], p[2 * k + 1]};
      break;
    case Op::kSwap: m[0] = m[6] = m[9] = m[15] = 1; break;
    case Op::kIswap: m[0] = m[15] = 1; m[6] = m[9] = kI; break;
    case Op::kDcx: m[0 * 4 + 0] = m[1 * 4 + 3] = m[2 * 4 + 1] = m[3 * 4 + 2] = 1; break;
    case Op::kEcr:
      m[0 * 4 + 1] = kHalf, m[0 * 4 + 3] = kI * kHalf, m[1 * 4 + 0] = kHalf, m[1 * 4 + 2] = -kI * kHalf;
      m[2 * 4 + 1] = kI * kHalf, m[2 * 4 + 3] = kHalf, m[3 * 4 + 0] = -kI * kHalf, m[3 * 4 + 2] = kHalf;
      break;
    case Op::kRxx: set_pauli_rotation(m, p[0], 3, {1, 1, 1, 1}); break;
    case Op::kRyy: set_pauli_rotation(m, p[0], 3, {-1, 1, 1, -1}); break;
    case Op::kRzz: set_pauli_rotation(m, p[0], 0, {1, -1, -1, 1}); break;
    case Op::kRzx: set_pauli_rotation(m, p[0], 2, {1, -1, 1, -1}); break;  // Z on the first, X on the second
    case Op::kXxMinusYy: {
      const double c = std::cos(p[0] / 2), s = std::sin(p[0] / 2);
      m[5] = m[10] = 1;
      m[0] = c, m[15] = c, m[3] = -kI * turn(-p[1]) * s, m[12] = -kI * turn(p[1]) * s;
      break;
    }
    case Op::kXxPlusYy: {
      const double c = std::cos(p[0] / 2), s = std::sin(p[0] / 2);
      m[0] = m[15] = 1;
      m[5] = c, m[10] = c, m[6] = -kI * turn(-p[1]) * s, m[9] = -kI * turn(p[1]) * s;
      break;
    }
    case Op::kCswap:
      for (std::size_t x = 0; x < 8; ++x) m[(x == 3 ? 5 : x == 5 ? 3 : x) * 8 + x] = 1;
      break;
    default: break;
  }
  return m;
}

void bind_circuit(nb::module_& m) {
  m.def("operation_names", &operation_names, "Names of a program's operations, by opcode.");
  m.def("row_matrix", [](nb::handle program, std::size_t row) {
    const Circuit circuit(program);
    if (row >= circuit.size()) throw std::out_of_range("the program has fewer rows");
    auto* kept = new std::vector<Amplitude>(circuit.matrix(row));
    nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<Amplitude>*>(p); });
    const std::size_t dim = std::size_t{1} << circuit.qubits(row).size();
    return nb::ndarray<nb::numpy, Amplitude, nb::ndim<2>>(kept->data(), {dim, dim}, owner);
  }, nb::arg("program"), nb::arg("row"), "Matrix of one row, complex128, its first qubit least significant.");
}

}  // namespace qrex
