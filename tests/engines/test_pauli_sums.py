"""Pauli sums from text, files and objects, and what is none."""

from __future__ import annotations

import json

import pytest
from qiskit.quantum_info import SparsePauliOp

from qrex.engines.statevector.pauli_sums import pauli_terms
from qrex.errors import InputError


def test_sums_are_read_from_text_files_and_objects(tmp_path):
    assert pauli_terms("0.5*ZZI - 1.2*IXY + ZII", 3) == (("ZZI", 0.5), ("IXY", -1.2), ("ZII", 1.0))
    assert pauli_terms("-Z0*Z1+ .3 X4", 5) == (("IIIZZ", -1.0), ("XIIII", 0.3))
    assert pauli_terms("1e-3*YY - 2", 2) == (("YY", 0.001), ("II", -2.0))
    for content in ({"ZI": 0.5, "X0": -1}, [["ZI", 0.5], ["X0", -1]]):
        path = tmp_path / "sum.json"
        path.write_text(json.dumps(content))
        for given in (path, str(path), content):
            assert pauli_terms(given, 2) == (("ZI", 0.5), ("IX", -1.0))
    assert pauli_terms(SparsePauliOp(["ZZ", "ZZ", "XI"], [1, 2, 1]), 2) == (("ZZ", 3.0), ("XI", 1.0))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("ZZ", "2 letters; the circuit has 3 qubits"), ("ZZA", "column 1"), ("zzz", "column 1"), ("", "nothing in it"),
        ("Z0 + Z0", "twice"), ("Z0*Z0", "qubit 0 twice"), ("Z9", "counted from 0"), ("Z0**Z1", "column 4"),
        ("1j*ZZZ", "column 2"), ("1e999*ZZZ", "finite"), ("Z0 +", "nothing in it"), ("Z0*2", "goes first"),
        ("1e308*Z0 + 1e308*Z1", "add up"), ("Z" + "9" * 5000, "the coefficient|counted|within a term"),
        ("gone.json", "No such file"), ({"ZZZ": 1j}, "finite real"), ({"ZZZ": float("nan")}, "finite real"),
        ("Z٣", "column"), ("٣*Z0", "column 1"),
        ({"ZZZ": True}, "finite real"), ({"ZZZ": 10**400}, "finite real"), ([("ZZZ",)], "no Pauli sum"),
        ({3: 1.0}, "was expected"), ({"Z0+Z1": 1.0}, "was expected"), ({}, "no terms"),
        (SparsePauliOp(["ZZZ"], [1j]), "finite real"), (5, "no Pauli sum"),
    ],
)  # fmt: skip
def test_what_is_no_sum_is_refused(given, said):
    with pytest.raises(InputError, match=said):
        pauli_terms(given, 3)


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "not JSON"), ('{"ZZZ": 1, "ZZZ": 2}', "twice"), ('{"ZZZ": [0, 1]}', "finite real"), ("3", "no Pauli sum"),
     ('{"ZZZ": NaN}', "finite real"), ("[" * 100_000, "not JSON")],
)  # fmt: skip
def test_a_file_that_holds_no_sum_is_refused(content, said, tmp_path):
    (tmp_path / "sum.json").write_text(content)
    with pytest.raises(InputError, match=said):
        pauli_terms(tmp_path / "sum.json", 3)
