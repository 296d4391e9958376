from hypothesis import given, settings
from hypothesis import strategies as st

from qrex.expansion.device import compilation_note
from qrex.expansion.timing import union_seconds


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=12))
def test_the_union_counts_every_second_once(drawn):
    spans = [(start, start + length) for start, length in drawn]
    seconds = {second for start, end in spans for second in range(start, end)}
    assert union_seconds(spans) == len(seconds)


def payload(session, began, ended, cpu):
    compiled = {"compile_span": [began, ended], "compile_seconds": ended - began, "compile_cpu_seconds": cpu}
    return {"session": session, "value": [compiled, compiled]}


def test_the_note_says_what_compiling_side_by_side_brought():
    payloads = [payload("a", 0.0, 2.0, 2.0), payload("a", 0.0, 2.0, 2.5), payload("b", 1.0, 3.0, 1.0)]
    # Two of two seconds at once; then, in another session, two seconds of which one was waiting.
    assert compilation_note(payloads, 2) == "compiled 3 circuits in 4 s on 2 cores, 5 s one after another: 1.2x"


def test_nothing_is_said_where_nothing_was_recorded():
    assert compilation_note([{"session": "a", "value": None}, {"session": "a", "value": [{}]}], 2) == ""
