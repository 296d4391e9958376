// Binds the codecs and the checksum of blocks of amplitudes.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "bindings.hpp"
#include "codec_loops.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace qrex {
namespace {

using Floats = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// The bytes of any object that has them in one piece.
class Bytes {
 public:
  explicit Bytes(nb::handle object) {
    if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_SIMPLE)) throw nb::python_error();
  }
  Bytes(const Bytes&) = delete;
  ~Bytes() { PyBuffer_Release(&view_); }
  const unsigned char* data() const { return static_cast<const unsigned char*>(view_.buf); }
  std::size_t size() const { return static_cast<std::size_t>(view_.len); }

 private:
  Py_buffer view_;
};

template <class T>
nb::ndarray<nb::numpy, T, nb::ndim<1>> owned(std::unique_ptr<T[]> values, std::size_t count) {
  nb::capsule owner(values.get(), [](void* p) noexcept { delete[] static_cast<T*>(p); });
  return {values.release(), {count}, owner};
}

Codec codec_named(const std::string& name) {
  if (name == "float32") return Codec::Float32;
  if (name == "int16") return Codec::Int16;
  if (name == "int8") return Codec::Int8;
  throw std::invalid_argument("asked for the codec '" + name +
                              "'; there are float32, int16 and int8: name one of them");
}

// How many amplitudes were coded into so many bytes.
std::uint64_t amplitudes_in(Codec codec, const std::string& name, std::size_t bytes) {
  const std::size_t group = encoded_bytes(codec, kScaledAmplitudes);
  const std::size_t scale = codec == Codec::Float32 ? 0 : sizeof(float);
  const std::size_t part = (group - scale) / kScaledAmplitudes, rest = bytes % group;
  const std::uint64_t amplitudes = bytes / group * kScaledAmplitudes + (rest > scale ? (rest - scale) / part : 0);
  if (encoded_bytes(codec, amplitudes) != bytes)
    throw std::invalid_argument("asked to decode " + std::to_string(bytes) + " bytes of " + name +
                                "; no number of amplitudes takes so many: pass what was coded, whole");
  return amplitudes;
}

nb::tuple encode_amplitudes(const Floats& re, const Floats& im, const std::string& name, const std::string& loops) {
  if (re.shape(0) != im.shape(0))
    throw std::invalid_argument("asked to code " + std::to_string(re.shape(0)) + " real and " +
                                std::to_string(im.shape(0)) + " imaginary parts; pass as many of both");
  const Codec codec = codec_named(name);
  const CodecLoops& chosen = find_codec_loops(loops);
  const std::size_t bytes = encoded_bytes(codec, re.shape(0));
  auto out = std::make_unique_for_overwrite<unsigned char[]>(bytes);
  Encoded sums;
  {
    nb::gil_scoped_release unlocked;
    sums = encode(chosen, codec, re.data(), im.data(), re.shape(0), out.get());
  }
  return nb::make_tuple(owned(std::move(out), bytes), sums.norm, sums.kept_norm, sums.error);
}

nb::tuple decode_amplitudes(nb::handle coded, const std::string& name, const std::string& loops) {
  const Bytes bytes(coded);
  const Codec codec = codec_named(name);
  const CodecLoops& chosen = find_codec_loops(loops);
  const std::uint64_t amplitudes = amplitudes_in(codec, name, bytes.size());
  auto re = std::make_unique_for_overwrite<float[]>(amplitudes);
  auto im = std::make_unique_for_overwrite<float[]>(amplitudes);
  {
    nb::gil_scoped_release unlocked;
    decode(chosen, codec, bytes.data(), amplitudes, re.get(), im.get());
  }
  return nb::make_tuple(owned(std::move(re), amplitudes), owned(std::move(im), amplitudes));
}

}  // namespace

void bind_codecs(nb::module_& m) {
  m.def("encode_amplitudes", &encode_amplitudes, "re"_a.noconvert(), "im"_a.noconvert(), "codec"_a, "loops"_a = "",
        "(bytes, norm, kept_norm, error): both planes coded as 'float32', 'int16' or 'int8', and the sums of |x|^2, of "
        "|Q(x)|^2 and of |x - Q(x)|^2. ValueError where a part is not finite.");
  m.def("decode_amplitudes", &decode_amplitudes, "coded"_a, "codec"_a, "loops"_a = "",
        "(re, im) of what encode_amplitudes wrote. ValueError where no number of amplitudes takes so many bytes.");
  m.def("encoded_bytes", [](const std::string& name, std::uint64_t amplitudes) {
    return encoded_bytes(codec_named(name), amplitudes);
  }, "codec"_a, "amplitudes"_a, "Bytes that so many amplitudes take when coded.");
  m.def("codec_loops", [] {
    std::vector<std::string> names;
    for (const CodecLoops* loops : available_codec_loops()) names.emplace_back(loops->name);
    return names;
  }, "Names of the codecs' loops that this processor runs, best first; all give the same bytes.");
  m.def("crc32c", [](nb::handle data, std::uint32_t crc, bool by_table) {
    const Bytes bytes(data);
    nb::gil_scoped_release unlocked;
    return by_table ? crc32c_by_table(bytes.data(), bytes.size(), crc) : crc32c(bytes.data(), bytes.size(), crc);
  }, "data"_a, "crc"_a = 0, "by_table"_a = false,
        "CRC-32C of a buffer, or of what gave `crc` followed by it; `by_table` without the processor's instruction.");
}

}  // namespace qrex
