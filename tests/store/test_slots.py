"""Slots: free, taken, held; against a model of three sets, and against all ways to choose."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrex.store.slots import SlotTable


def _pieces(slots):
    return sum(1 for slot in slots if slot - 1 not in slots)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.sets(st.integers(0, 9)), st.integers(0, 10))
def test_what_is_taken_is_free_ascending_and_in_as_few_pieces_as_possible(held, count):
    free = sorted(set(range(10)) - held)
    table = SlotTable(10, held)
    if count > len(free):
        with pytest.raises(ValueError, match=f"{count} slots were asked for, {len(free)} are free"):
            table.take(count)
        return
    taken = table.take(count)
    assert taken == sorted(set(taken)) and set(taken) <= set(free) and len(taken) == count
    assert _pieces(set(taken)) == min(_pieces(set(some)) for some in itertools.combinations(free, count))
    assert table.free == len(free) - count


def test_the_shortest_run_that_will_do_is_taken_from():
    table = SlotTable(12, held=[5, 9])  # free: 0 to 4, 6 to 8, 10 and 11
    assert table.take(3) == [6, 7, 8]
    assert table.take(4) == [0, 1, 2, 3]
    assert table.take(3) == [4, 10, 11]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.data())
def test_states_are_those_of_a_model_and_a_new_table_is_restored_from_the_commits(data):
    table = SlotTable(8)
    free, taken, held, commits = set(range(8)), set(), set(), []
    for _ in range(data.draw(st.integers(1, 12))):
        match data.draw(st.sampled_from(["take", "give back", "commit"])):
            case "take":
                slots = set(table.take(data.draw(st.integers(0, len(free)))))
                free, taken = free - slots, taken | slots
            case "give back":
                slots = set(data.draw(st.lists(st.sampled_from(sorted(taken)), unique=True))) if taken else set()
                table.give_back(slots)
                free, taken = free | slots, taken - slots
            case "commit":
                holds = data.draw(st.lists(st.sampled_from(sorted(taken)), unique=True)) if taken else []
                frees = data.draw(st.lists(st.sampled_from(sorted(held)), unique=True)) if held else []
                table.apply(*table.checked(holds, frees))
                commits.append((holds, frees))
                taken, held, free = taken - set(holds), held - set(frees) | set(holds), free | set(frees)
        assert (table.free, table.held()) == (len(free), sorted(held))
    restored = SlotTable(8)
    for holds, frees in commits:
        restored.restore(holds, frees)
    assert restored.held() == sorted(held)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table.give_back([0]), "slot 0 is not taken"),
        (lambda table: table.give_back([4]), "slot 4 is not taken"),
        (lambda table: table.give_back([2, 2]), "named twice"),
        (lambda table: table.give_back([2, 9]), "slot 9 is not taken; there are slots 0 to 4"),
        (lambda table: table.give_back([-3]), "slot -3 is not taken"),
        (lambda table: table.checked([4], []), "slot 4 is not taken"),
        (lambda table: table.checked([2], [2]), "slot 2 is not held"),
        (lambda table: table.checked([2], [0, 0]), "named twice"),
        (lambda table: table.restore([2], []), "slot 2 is not free"),
        (lambda table: table.restore([4], [4]), "slot 4 is not held"),
        (lambda table: SlotTable(5, [1, 1]), "named twice"),
        (lambda table: SlotTable(5, [5]), "slot 5 is not free"),
    ],
)
def test_a_slot_in_another_state_is_refused_and_nothing_changes(change, words):
    table = SlotTable(5, held=[0, 1])
    assert table.take(2) == [2, 3]
    with pytest.raises(ValueError, match=words):
        change(table)
    assert (table.free, table.held()) == (1, [0, 1])
    table.give_back([2, 3])
    assert table.free == 3
