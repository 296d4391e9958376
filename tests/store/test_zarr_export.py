"""States as zarr arrays, read back by zarr itself."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from qrex.errors import InputError
from qrex.store import SnapshotStore

zarr = pytest.importorskip("zarr", minversion="3")


@pytest.fixture
def store(tmp_path):
    with SnapshotStore(tmp_path / "snapshots") as opened:
        yield opened


@pytest.mark.parametrize("qubits", [3, 16, 21])
def test_the_array_is_the_state_with_its_figures(store, tmp_path, qubits):
    rng = np.random.default_rng(qubits)
    state = rng.normal(size=2 << qubits).astype(np.float32).view(np.complex64)
    saved = store.save("s", state, metadata={"step": 3}, codec="int16")
    assert store.export_zarr(tmp_path / "s.zarr", "s") == tmp_path / "s.zarr"
    array = zarr.open_array(tmp_path / "s.zarr", mode="r")
    assert array.dtype == np.complex64 and array.metadata.zarr_format == 3
    assert np.array_equal(array[:], store.restore("s"))
    assert array.attrs["infidelity"] == saved.infidelity and array.attrs["metadata"] == {"step": 3}
    assert (array.attrs["name"], array.attrs["version"], array.attrs["qubits"]) == ("s", 1, qubits)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_zeros_take_no_files(store, tmp_path):
    state = np.zeros(1 << 22, np.complex64)
    state[0] = 1
    store.save("s", state)
    store.export_zarr(tmp_path / "s.zarr", "s")
    chunks = [path for path in (tmp_path / "s.zarr").rglob("*") if path.is_file() and path.name != "zarr.json"]
    assert len(chunks) == 1
    assert np.array_equal(zarr.open_array(tmp_path / "s.zarr", mode="r")[:], state)


def test_nothing_is_written_over(store, tmp_path):
    store.save("s", np.ones(16, np.complex64))
    (tmp_path / "s.zarr").mkdir()
    with pytest.raises(InputError, match="something is already"):
        store.export_zarr(tmp_path / "s.zarr", "s")


def test_without_zarr_the_extra_is_named(store, tmp_path, monkeypatch):
    store.save("s", np.ones(16, np.complex64))
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(InputError, match=r"pip install 'qrex\[zarr\]'"):
        store.export_zarr(tmp_path / "s.zarr", "s")
