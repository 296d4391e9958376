// Layout, tails and checks; the loops are in codec_loops.cpp.
#include "codecs.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>

#include "codec_loops.hpp"

namespace qrex {
namespace {

static_assert(std::endian::native == std::endian::little, "coded amplitudes are little-endian");

constexpr std::uint64_t kMostAmplitudes = std::uint64_t{1} << 56;  // no count of bytes overflows
// Groups whose sums are added up on their own: keeps the rounding of long sums down, and planes in the cache.
constexpr std::uint64_t kChunkGroups = 64;

std::uint64_t integer_bytes(Codec codec) { return codec == Codec::Int16 ? 2 : 1; }

std::uint64_t groups_of(std::uint64_t amplitudes) { return (amplitudes + kScaledAmplitudes - 1) / kScaledAmplitudes; }

double total(const double (&lanes)[kSumLanes]) {
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

void add(Encoded& all, const SquareSums& sums) {
  all.norm += total(sums.norm);
  all.kept_norm += total(sums.kept);
  all.error += total(sums.error);
}

// The amplitudes after the last whole group, filled up with zeros.
struct Tail {
  float re[kScaledAmplitudes] = {}, im[kScaledAmplitudes] = {};
  Tail(const float* from_re, const float* from_im, std::uint64_t count) {
    std::copy_n(from_re, count, re);
    std::copy_n(from_im, count, im);
  }
};

Encoded as_floats(const CodecLoops& loops, const float* re, const float* im, std::uint64_t amplitudes) {
  Encoded all{0, 0, 0, false};
  const std::uint64_t whole = amplitudes / kScaledAmplitudes;
  for (std::uint64_t first = 0; first < whole; first += kChunkGroups) {
    const std::uint64_t at = first * kScaledAmplitudes;
    SquareSums sums;
    loops.squares(re + at, im + at, std::min(kChunkGroups, whole - first), sums);
    add(all, sums);
  }
  if (const std::uint64_t at = whole * kScaledAmplitudes, rest = amplitudes - at; rest) {
    const Tail tail(re + at, im + at, rest);
    SquareSums sums;
    loops.squares(tail.re, tail.im, 1, sums);
    add(all, sums);
  }
  // Squares of floats do not overflow in double precision, and that of the smallest does not vanish.
  if (!std::isfinite(all.norm))
    throw std::invalid_argument("asked to code an amplitude that is not finite; a state has none such: mend what "
                                "made it");
  all.kept_norm = all.norm;
  all.zero = all.kept_norm == 0;
  return all;
}

Encoded encode_scaled(const CodecLoops& loops, Codec codec, const float* re, const float* im, std::uint64_t amplitudes,
                      unsigned char* out) {
  const auto encode_groups = codec == Codec::Int16 ? loops.encode16 : loops.encode8;
  const std::uint64_t width = integer_bytes(codec), whole = amplitudes / kScaledAmplitudes;
  unsigned char* const out_re = out + groups_of(amplitudes) * sizeof(float);
  unsigned char* const out_im = out_re + amplitudes * width;
  Encoded all{0, 0, 0, false};
  bool fine = true;
  for (std::uint64_t first = 0; first < whole && fine; first += kChunkGroups) {
    const std::uint64_t at = first * kScaledAmplitudes;
    SquareSums sums;
    fine = encode_groups(re + at, im + at, std::min(kChunkGroups, whole - first), out + first * sizeof(float),
                         out_re + at * width, out_im + at * width, sums);
    add(all, sums);
  }
  if (const std::uint64_t at = whole * kScaledAmplitudes, rest = amplitudes - at; rest && fine) {
    const Tail tail(re + at, im + at, rest);
    unsigned char coded_re[kScaledAmplitudes * 2], coded_im[kScaledAmplitudes * 2];
    SquareSums sums;
    fine = encode_groups(tail.re, tail.im, 1, out + whole * sizeof(float), coded_re, coded_im, sums);
    add(all, sums);
    std::memcpy(out_re + at * width, coded_re, rest * width);
    std::memcpy(out_im + at * width, coded_im, rest * width);
  }
  if (!fine)
    throw std::invalid_argument("asked to code an amplitude that is not finite or not below 2^127; a state has none "
                                "such: mend what made it");
  return all;
}

}  // namespace

std::size_t encoded_bytes(Codec codec, std::uint64_t amplitudes) {
  if (amplitudes > kMostAmplitudes)
    throw std::invalid_argument("asked to code " + std::to_string(amplitudes) +
                                " amplitudes; at most 2^56 can be at once: code blocks of them");
  if (codec == Codec::Float32) return 2 * amplitudes * sizeof(float);
  return groups_of(amplitudes) * sizeof(float) + 2 * amplitudes * integer_bytes(codec);
}

Encoded encode(const CodecLoops& loops, Codec codec, const float* re, const float* im, std::uint64_t amplitudes,
               unsigned char* out) {
  if (codec == Codec::Float32) {
    std::memcpy(out, re, amplitudes * sizeof(float));
    std::memcpy(out + amplitudes * sizeof(float), im, amplitudes * sizeof(float));
    return as_floats(loops, re, im, amplitudes);
  }
  Encoded all = encode_scaled(loops, codec, re, im, amplitudes, out);
  all.zero = all.kept_norm == 0;
  return all;
}

void decode(const CodecLoops& loops, Codec codec, const unsigned char* in, std::uint64_t amplitudes, float* re,
            float* im) {
  if (codec == Codec::Float32) {
    std::memcpy(re, in, amplitudes * sizeof(float));
    std::memcpy(im, in + amplitudes * sizeof(float), amplitudes * sizeof(float));
    return;
  }
  const auto decode_groups = codec == Codec::Int16 ? loops.decode16 : loops.decode8;
  const std::uint64_t width = integer_bytes(codec), whole = amplitudes / kScaledAmplitudes;
  const std::uint64_t at = whole * kScaledAmplitudes, rest = amplitudes - at;
  const unsigned char* plane = in + groups_of(amplitudes) * sizeof(float);
  for (float* out : {re, im}) {
    decode_groups(in, plane, whole, out);
    if (rest) {
      unsigned char coded[kScaledAmplitudes * 2] = {};
      float parts[kScaledAmplitudes];
      std::memcpy(coded, plane + at * width, rest * width);
      decode_groups(in + whole * sizeof(float), coded, 1, parts);
      std::copy_n(parts, rest, out + at);
    }
    plane += amplitudes * width;
  }
}

Encoded encode(Codec codec, const float* re, const float* im, std::uint64_t amplitudes, unsigned char* out) {
  return encode(*available_codec_loops().front(), codec, re, im, amplitudes, out);
}

Encoded as_floats(const float* re, const float* im, std::uint64_t amplitudes) {
  return as_floats(*available_codec_loops().front(), re, im, amplitudes);
}

void decode(Codec codec, const unsigned char* in, std::uint64_t amplitudes, float* re, float* im) {
  decode(*available_codec_loops().front(), codec, in, amplitudes, re, im);
}

}  // namespace qrex
