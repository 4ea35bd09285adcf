"""The queue before a model: bounded, by priority, fair to connections, nothing left behind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd.daemon.utterance import Utterance
from cosyd.daemon.waiting import Waiting
from cosyd.errors import Busy
from tests.daemon.fakes import Bench, FakeOwner

BENCH = Bench()
OWNERS = [BENCH.connection() for _ in range(4)]


def make(owner: FakeOwner, priority: int = 0) -> Utterance:
    return BENCH.utterance(owner, priority=priority)


def test_a_client_with_many_delays_another_by_one() -> None:
    waiting = Waiting(lambda: 100)
    for _ in range(64):
        waiting.add(make(OWNERS[0]))
    late = make(OWNERS[1])
    waiting.add(late)
    assert [waiting.take() is late for _ in range(2)] == [False, True]


def test_the_bound_counts_all_and_may_change() -> None:
    bound = 2
    waiting = Waiting(lambda: bound)
    waiting.add(make(OWNERS[0], 3))
    waiting.add(make(OWNERS[1]))
    with pytest.raises(Busy, match="2 utterances"):
        waiting.add(make(OWNERS[2], 10))
    bound = 3
    waiting.add(make(OWNERS[2]))
    assert len(waiting) == 3


def test_nothing_of_a_connection_stays() -> None:
    waiting = Waiting(lambda: 100)
    first, second = make(OWNERS[0], 1), make(OWNERS[0], 2)
    waiting.add(first)
    waiting.add(second)
    assert waiting.take() is second
    assert waiting.remove(first)
    assert not waiting.remove(first)
    assert waiting.priority is None
    assert waiting._queues == {}


@given(st.lists(st.integers(0, 3), max_size=40))
def test_connections_take_turns(numbers: list[int]) -> None:
    waiting, expected = Waiting(lambda: 1000), list[Utterance]()
    queues: dict[int, list[Utterance]] = {}
    for number in numbers:
        utterance = make(OWNERS[number])
        waiting.add(utterance)
        queues.setdefault(number, []).append(utterance)
    while any(queues.values()):  # rounds, in the order in which the connections came
        expected += [queue.pop(0) for queue in queues.values() if queue]
    assert waiting.clear() == expected


Events = st.lists(
    st.tuples(st.sampled_from(["add", "take", "remove"]), st.integers(0, 50), st.integers(-1, 1)),
    max_size=60,
)


@given(Events)
def test_whoever_leaves_or_comes_meanwhile(events: list[tuple[str, int, int]]) -> None:
    """Nobody is lost or taken twice, none goes before a higher priority or an older own one, and
    nobody is passed twice by one connection while its own first one waits."""
    waiting, here = Waiting(lambda: 1000), list[Utterance]()
    passed: dict[int, list[object]] = {}
    for kind, number, priority in events:
        if kind == "add":
            here.append(make(OWNERS[number % 4], priority))
            waiting.add(here[-1])
        elif kind == "remove" and here:
            assert waiting.remove(here.pop(number % len(here)))
            passed.clear()  # whose turn is next may rest with the one that left
        elif kind == "take" and here:
            taken = waiting.take()
            here.remove(taken)
            rank = taken.request["priority"]
            assert all(each.request["priority"] <= rank for each in here)
            equals = [each for each in here if each.request["priority"] == rank]
            assert all(each.id > taken.id for each in equals if each.owner is taken.owner)
            for each in equals:
                if each.owner is taken.owner:
                    passed.pop(each.id, None)
                else:
                    passed.setdefault(each.id, []).append(taken.owner)
                    first = min(e.id for e in equals if e.owner is each.owner)
                    if each.id == first:
                        assert passed[each.id].count(taken.owner) <= 1
        assert len(waiting) == len(here)
    assert waiting.priority == max((each.request["priority"] for each in here), default=None)
