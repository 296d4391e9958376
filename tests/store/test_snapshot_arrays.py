"""Arrays and texts beside the states: detection events, error models."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from qrex.errors import InputError
from qrex.store import SnapshotStore
from qrex.store.compressed import array_from_pieces, array_pieces, array_shape_of, text_from_pieces, text_pieces

DTYPES = hnp.boolean_dtypes() | hnp.integer_dtypes() | hnp.unsigned_integer_dtypes() | hnp.floating_dtypes()


@pytest.fixture
def store(tmp_path):
    with SnapshotStore(tmp_path / "snapshots") as opened:
        yield opened


@settings(deadline=None)
@given(hnp.arrays(DTYPES | hnp.complex_number_dtypes(), hnp.array_shapes(min_dims=0, min_side=0, max_dims=3)))
def test_pieces_make_up_the_array_again(array):
    back = array_from_pieces(array_shape_of(array), array_pieces(array))
    assert back.dtype == array.dtype and back.shape == array.shape and back.tobytes() == array.tobytes()


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_pieces_make_up_the_text_again(text):
    assert text_from_pieces(text_pieces(text)) == text


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 9))
def test_long_ones_come_in_pieces(extra):
    rng = np.random.default_rng(extra)
    events = rng.random((1 << 23) + extra) < 0.01
    pieces = list(array_pieces(events))
    assert len(pieces) == 1 + bool(extra)
    assert np.array_equal(array_from_pieces(array_shape_of(events), pieces), events)
    text = "é" * ((1 << 19) + extra) + "x"
    assert len(list(text_pieces(text))) == 2 and text_from_pieces(text_pieces(text)) == text


def test_detection_events_are_small_and_shared(store, tmp_path):
    rng = np.random.default_rng(5)
    events = rng.random((20_000, 120)) < 0.01
    assert store.save_array("syndromes", events, metadata={"distance": 5}) == 1
    assert np.array_equal(store.load_array("syndromes"), events)
    # 0.08 bits of entropy per event.
    assert store.stored_bytes("syndromes")[0] < events.size / 8 * 0.16
    size = (tmp_path / "snapshots" / "blocks.bin").stat().st_size
    assert store.save_array("syndromes", events) == 2
    assert (tmp_path / "snapshots" / "blocks.bin").stat().st_size == size
    assert store.metadata("syndromes", 1) == {"distance": 5}


def test_views_and_empty_arrays(store):
    array = np.arange(60, dtype=np.int16).reshape(5, 12)[::2, ::3]
    store.save_array("a", array)
    assert np.array_equal(store.load_array("a"), array)
    store.save_array("a", np.zeros((0, 3), bool))
    assert store.load_array("a").shape == (0, 3)


def test_error_models_are_texts(store):
    model = "error(0.001) D0 D1\n" * 1000
    assert store.save_text("model", model) == 1
    assert store.load_text("model") == model
    with pytest.raises(InputError, match="no Unicode"):
        store.save_text("model", "\ud800")


@pytest.mark.parametrize("array", [np.array([object()]), np.array(["a"]), np.zeros(3, [("x", "f4")])])
def test_what_is_no_number_is_refused(store, array):
    with pytest.raises(InputError, match="booleans and numbers"):
        store.save_array("a", array)
