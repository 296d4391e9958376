// How amplitudes are coded for a disk, and how damage to what lies there is found.
//
// Float32: real parts, then imaginary parts, bit for bit. Int16 and Int8: a float32 scale for every group of
// kScaledAmplitudes amplitudes (the last group may be smaller), then the real parts of all of them as integers, then
// the imaginary parts; a part is its integer times the scale of its group. All of it little-endian.
//
// A scale is the largest magnitude in its group over 32767 or 127, rounded to 17 significant bits. That has two
// consequences: the largest part keeps the largest integer, and coding what was decoded gives the same bytes again,
// so that repeated passes over a disk do not drift. Per part the error is at most half a scale and 2^-18 of the
// part. On a state with independent normal parts the infidelity is about 6e-10 (Int16) and 4e-5 (Int8); on no state is
// it above 127 / (4 * 32767^2) = 3.0e-8 and 127 / (4 * 127^2) = 2.0e-3, which groups with one large part come near.
#pragma once

#include <cstddef>
#include <cstdint>

namespace qrex {

enum class Codec : std::uint8_t { Float32, Int16, Int8 };

constexpr std::uint64_t kScaledAmplitudes = 64;  // amplitudes, real and imaginary parts together, that share a scale

// Exact, without padding. Throws std::invalid_argument above 2^56 amplitudes.
std::size_t encoded_bytes(Codec codec, std::uint64_t amplitudes);

// Sums over the amplitudes x and what they become, Q(x), in double precision: |x|^2, |Q(x)|^2, |x - Q(x)|^2. They do
// not depend on the instruction set. `zero`: every Q(x) equals 0; zeros of either sign do.
struct Encoded {
  double norm, kept_norm, error;
  bool zero;
};

// Writes encoded_bytes(codec, amplitudes) bytes. Groups in which every magnitude is so small (below 2^-110 or so) that
// its scale would lose precision become 0, and `error` says what that took. Throws std::invalid_argument where a part
// is not finite, or for Int16 and Int8 not below 2^127; `out` holds nothing of use then.
Encoded encode(Codec codec, const float* re, const float* im, std::uint64_t amplitudes, unsigned char* out);

// What encode says of Float32, whose bytes are those of `re` and `im`.
Encoded as_floats(const float* re, const float* im, std::uint64_t amplitudes);

// The inverse. Any bytes decode to something: whether they are those that were written is for crc32c to say.
void decode(Codec codec, const unsigned char* in, std::uint64_t amplitudes, float* re, float* im);

// CRC-32C (Castagnoli; RFC 3720, appendix B.4) of `data`, or of what gave `crc` followed by `data`.
std::uint32_t crc32c(const void* data, std::size_t bytes, std::uint32_t crc = 0);

}  // namespace qrex
