"""Channels: one at a time, the most urgent next, nobody forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cosyd.daemon.channels import Channels
from cosyd.daemon.utterance import Utterance
from tests.daemon.fakes import Bench

BENCH = Bench()


def make(channel: str | None, priority: int = 0) -> Utterance:
    return BENCH.utterance(channel=channel, priority=priority)


def test_one_after_another_by_priority_then_age() -> None:
    went: list[Utterance] = []
    channels = Channels(went.append)
    members = [make("a", priority) for priority in (0, 0, 5, 5)]
    for member in members:
        channels.enter(member)
    order: list[int] = []
    while went and len(order) < 4:
        order.append(members.index(went[-1]))
        channels.leave(went[-1])
    assert order == [0, 2, 3, 1]


def test_without_a_channel_at_once() -> None:
    went: list[Utterance] = []
    channels = Channels(went.append)
    channels.enter(make(None))
    channels.enter(make(None))
    assert len(went) == 2


def test_stopping_all_members_in_their_order_begins_none() -> None:
    went: list[Utterance] = []
    channels = Channels(went.append)
    members = [make("a") for _ in range(3)]
    for member in members:
        channels.enter(member)
    for member in channels.members("a"):
        channels.leave(member)
    assert went == members[:1] and channels.members("a") == []


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(-2, 2)), max_size=30), st.data())
def test_everybody_gets_a_turn_and_never_two_at_once(
    wanted: list[tuple[str, int]], data: st.DataObject
) -> None:
    speaking: dict[str, Utterance] = {}
    turns = []

    def go(utterance: Utterance) -> None:
        channel = utterance.request["channel"]
        assert channel not in speaking
        speaking[channel] = utterance
        turns.append(utterance)

    channels = Channels(go)
    for channel, priority in wanted:
        channels.enter(make(channel, priority))
        leaving = data.draw(st.sampled_from([*sorted(speaking), ""]))
        if leaving:
            channels.leave(speaking.pop(leaving))
    while speaking:
        channels.leave(speaking.pop(min(speaking)))
    assert len(turns) == len(wanted)
