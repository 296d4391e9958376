"""Codecs of amplitudes against a NumPy re-implementation and exact sums; CRC-32C against RFC 3720."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrex import _kernels

LOOPS = _kernels.codec_loops()
LARGEST = {"int16": 32767, "int8": 127}
DTYPE = {"int16": np.int16, "int8": np.int8}
SMALLEST_SCALE = 2.0**-126


def _haar(count, seed=0):
    rng = np.random.default_rng(seed)
    re, im = rng.normal(size=(2, count))
    norm = math.sqrt(math.fsum(re**2) + math.fsum(im**2))
    return (re / norm).astype(np.float32), (im / norm).astype(np.float32)


def _reference(re, im, codec):
    """The bytes that `codec` must give."""
    groups = -(-len(re) // 64)
    padded = np.zeros((2, groups * 64), dtype=np.float32)
    padded[:, : len(re)] = re, im
    padded = padded.reshape(2, groups, 64)
    exact = (np.abs(padded).max(axis=(0, 2), initial=0) / np.float32(LARGEST[codec])).astype(np.float32)
    fraction, exponent = np.frexp(exact.astype(float))
    scale = np.ldexp(np.rint(fraction * 2**17) / 2**17, exponent)
    scale = np.where(scale < SMALLEST_SCALE, 0, scale).astype(np.float32)
    inverse = np.divide(np.float32(1), scale, out=np.zeros_like(scale), where=scale > 0)
    integers = np.rint(padded * inverse[:, None]).astype(DTYPE[codec]).reshape(2, -1)[:, : len(re)]
    return scale.tobytes() + integers.tobytes()


def _exact_sum(*parts):
    return math.fsum(float(x) ** 2 for part in parts for x in part)


finite = st.floats(-(2.0**100), 2.0**100, width=32)
scaled = st.builds(lambda x, e: float(np.float32(math.ldexp(x, e))), st.floats(-1, 1), st.integers(-140, 90))


@st.composite
def planes(draw, values=finite | scaled, most=200):
    count = draw(st.integers(0, most))
    drawn = [draw(st.lists(values, min_size=count, max_size=count)) for _ in range(2)]
    return tuple(np.array(part, dtype=np.float32) for part in drawn)


@pytest.mark.parametrize("loops", LOOPS)
@settings(deadline=None)
@given(planes(st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_float32_keeps_every_bit(loops, state):
    re, im = state
    coded, norm, kept, error = _kernels.encode_amplitudes(re, im, "float32", loops)
    assert coded.tobytes() == re.tobytes() + im.tobytes()
    back = _kernels.decode_amplitudes(coded, "float32", loops)
    assert [part.tobytes() for part in back] == [re.tobytes(), im.tobytes()]
    assert norm == kept == pytest.approx(_exact_sum(re, im), rel=1e-14, abs=0) and error == 0


@pytest.mark.parametrize("codec", LARGEST)
@settings(max_examples=200, deadline=None)
@given(planes())
def test_integers_and_scales_are_those_of_the_reference(codec, state):
    re, im = state
    for loops in LOOPS:
        coded = _kernels.encode_amplitudes(re, im, codec, loops)[0]
        assert coded.tobytes() == _reference(re, im, codec)
        assert len(coded) == _kernels.encoded_bytes(codec, len(re))


@pytest.mark.parametrize("codec", LARGEST)
@settings(deadline=None)
@given(planes())
def test_the_error_is_half_a_scale_and_is_measured(codec, state):
    re, im = state
    coded, norm, kept, error = _kernels.encode_amplitudes(re, im, codec)
    back = _kernels.decode_amplitudes(coded, codec)
    scales = np.repeat(np.frombuffer(coded.tobytes(), np.float32, -(-len(re) // 64)), 64)[: len(re)].astype(float)
    bound_of_none = LARGEST[codec] * SMALLEST_SCALE  # of a part in a group without a scale
    for part, decoded in zip(state, back, strict=True):
        bound = np.where(scales > 0, scales / 2, bound_of_none)
        off = np.abs(part.astype(float) - decoded)
        assert (off <= bound * (1 + 2**-9) + np.abs(part) * 2**-18).all()
    assert norm == pytest.approx(_exact_sum(re, im), rel=1e-14, abs=0)
    assert kept == pytest.approx(_exact_sum(*back), rel=1e-14, abs=0)
    off = [part.astype(float) - decoded for part, decoded in zip(state, back, strict=True)]
    assert error == pytest.approx(_exact_sum(*off), rel=1e-6, abs=0)
    assert error <= norm * 127 / (4 * LARGEST[codec] ** 2) * (1 + 1e-4) + 2 * len(re) * bound_of_none**2


@pytest.mark.parametrize("codec", LARGEST)
@settings(max_examples=200, deadline=None)
@given(planes())
def test_coding_what_was_decoded_changes_nothing(codec, state):
    coded = _kernels.encode_amplitudes(*state, codec)[0]
    again, norm, kept, error = _kernels.encode_amplitudes(*_kernels.decode_amplitudes(coded, codec), codec)
    assert again.tobytes() == coded.tobytes()
    assert error == 0 and norm == kept


@pytest.mark.parametrize("codec", ["float32", *LARGEST])
@pytest.mark.parametrize("bits", range(4, 15))
def test_every_instruction_set_gives_the_same_bytes_and_sums(codec, bits):
    re, im = _haar(1 << bits, bits)
    before = [_kernels.encode_amplitudes(re, im, codec, loops) for loops in LOOPS]
    taken = [_kernels.decode_amplitudes(before[0][0], codec, loops) for loops in LOOPS]
    for coded, *sums in before[1:]:
        assert coded.tobytes() == before[0][0].tobytes() and sums == list(before[0][1:])
    for back in taken[1:]:
        assert all(a.tobytes() == b.tobytes() for a, b in zip(back, taken[0], strict=True))


@pytest.mark.parametrize(("codec", "low", "high"), [("int16", 5e-10, 8e-10), ("int8", 3.5e-5, 5e-5)])
def test_infidelity_of_a_random_state(codec, low, high):
    re, im = _haar(1 << 18)
    back = _kernels.decode_amplitudes(_kernels.encode_amplitudes(re, im, codec)[0], codec)
    before, kept = re + 1j * im.astype(complex), back[0] + 1j * back[1].astype(complex)
    overlap = abs(np.vdot(before, kept)) ** 2 / (np.vdot(before, before).real * np.vdot(kept, kept).real)
    assert low < 1 - overlap < high


@pytest.mark.parametrize("codec", LARGEST)
def test_bytes_per_amplitude(codec):
    assert _kernels.encoded_bytes(codec, 1 << 20) == (1 << 20) * 2 * DTYPE[codec]().itemsize + (1 << 14) * 4
    assert _kernels.encoded_bytes(codec, 16) == 16 * 2 * DTYPE[codec]().itemsize + 4
    assert _kernels.encoded_bytes("float32", 1 << 20) == 8 << 20


@pytest.mark.parametrize("codec", LARGEST)
def test_a_group_of_vanishing_amplitudes_becomes_zero_and_the_error_says_so(codec):
    re, im = np.zeros((2, 128), dtype=np.float32)
    re[70] = 1e-40
    coded, norm, kept, error = _kernels.encode_amplitudes(re, im, codec)
    assert not coded.any() and norm == error > 0 and kept == 0


@pytest.mark.parametrize("loops", LOOPS)
@pytest.mark.parametrize("codec", ["float32", *LARGEST])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 1000, 4095, 4100])
def test_what_is_not_finite_is_refused(loops, codec, value, place):
    re, im = _haar(4101)
    im[place] = value
    with pytest.raises(ValueError, match="not finite"):
        _kernels.encode_amplitudes(re, im, codec, loops)


@pytest.mark.parametrize("codec", LARGEST)
def test_the_largest_parts_stay_finite_or_are_refused(codec):
    most = np.nextafter(np.float32(2.0**127), np.float32(0))
    back = _kernels.decode_amplitudes(_kernels.encode_amplitudes(*np.full((2, 64), most), codec)[0], codec)
    assert np.isfinite(back).all()
    with pytest.raises(ValueError, match="not below 2\\^127"):
        _kernels.encode_amplitudes(*np.full((2, 64), np.float32(2.0**127)), codec)


def test_bad_requests_say_what_was_asked():
    re, im = _haar(16)
    with pytest.raises(ValueError, match="codec 'int12'; there are float32, int16 and int8"):
        _kernels.encode_amplitudes(re, im, "int12")
    with pytest.raises(ValueError, match="16 real and 15 imaginary"):
        _kernels.encode_amplitudes(re, im[:15], "int8")
    with pytest.raises(ValueError, match="35 bytes of int8"):
        _kernels.decode_amplitudes(bytes(35), "int8")
    with pytest.raises(ValueError, match="no codec loops 'mmx'"):
        _kernels.encode_amplitudes(re, im, "int8", "mmx")
    with pytest.raises(ValueError, match="at most 2\\^56"):
        _kernels.encoded_bytes("int8", 1 << 57)
    with pytest.raises(TypeError):
        _kernels.encode_amplitudes(re.astype(float), im.astype(float), "int8")


# RFC 3720, appendix B.4; the last one is the check value of the usual catalogues.
ISCSI_READ = bytes.fromhex(
    "01c00000 00000000 00000000 00000000 14000000 00000400 00000014 00000018 28000000 00000000 02000000 00000000"
)
VECTORS = [
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(reversed(range(32))), 0x113FDB5C),
    (ISCSI_READ, 0xD9963A56),
    (b"123456789", 0xE3069283),
]


@pytest.mark.parametrize("by_table", [False, True])
@pytest.mark.parametrize(("data", "crc"), VECTORS)
def test_crc32c_of_the_published_vectors(data, crc, by_table):
    assert _kernels.crc32c(data, by_table=by_table) == crc


@pytest.mark.parametrize("size", [3071, 3072, 3073, 6144, 10_000, 100_001])
def test_crc32c_of_parts_that_are_joined(size):
    data = np.random.default_rng(size).bytes(size)
    assert _kernels.crc32c(data, 77) == _kernels.crc32c(data, 77, by_table=True)


@settings(deadline=None)
@given(st.binary(max_size=100), st.binary(max_size=100))
def test_crc32c_goes_on_where_it_stopped(first, second):
    whole = _kernels.crc32c(first + second)
    assert _kernels.crc32c(second, _kernels.crc32c(first)) == whole
    assert _kernels.crc32c(first + second, by_table=True) == whole


def test_crc32c_takes_any_buffer():
    values = np.arange(1000, dtype=np.uint16)
    assert _kernels.crc32c(values) == _kernels.crc32c(memoryview(values.tobytes()))
