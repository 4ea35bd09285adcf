"""The state tables, pair by pair."""

from __future__ import annotations

from typing import get_args

import pytest

from cosyd.wire.messages import SERVER, TERMINAL
from cosyd.wire.states import (
    BEGUN,
    CLIENT_UTTERANCE,
    GATE_OPEN,
    UTTERANCE,
    ClientState,
    Event,
    State,
)

# What each event does in each state; "-" is no transition. Read along a line.
#            begin     pause   resume    finish  stop   fail
DAEMON = """
queued       speaking  held    -         -       ended  ended
held         paused    -       queued    -       ended  ended
speaking     -         paused  -         ended   ended  ended
paused       -         -       speaking  -       ended  ended
ended        -         -       -         -       -      -
"""
EVENTS = ("begin", "pause", "resume", "finish", "stop", "fail")

#            started  mark     audio    paused   resumed  finished stopped  failed
CLIENT = """
said         started  -        -        said     said     -        ended    ended
started      -        started  started  started  started  ended    ended    ended
ended        -        -        -        -        -        -        -        -
"""
MESSAGES = ("started", "mark", "audio", "paused", "resumed", "finished", "stopped", "failed")


def _pairs(table: str, events: tuple[str, ...]) -> list[tuple[str, str, str | None]]:
    rows = [line.split() for line in table.strip().splitlines()]
    return [
        (state, event, None if after == "-" else after)
        for state, *afters in rows
        for event, after in zip(events, afters, strict=True)
    ]


@pytest.mark.parametrize(("state", "event", "after"), _pairs(DAEMON, EVENTS))
def test_daemon(state: State, event: Event, after: str | None) -> None:
    assert UTTERANCE.get((state, event)) == after


@pytest.mark.parametrize(("state", "message", "after"), _pairs(CLIENT, MESSAGES))
def test_client(state: ClientState, message: str, after: str | None) -> None:
    assert CLIENT_UTTERANCE.get((state, message)) == after


def test_the_tests_name_every_state_and_event() -> None:
    assert {(s, e) for s, e, _ in _pairs(DAEMON, EVENTS)} == {
        (state, event) for state in get_args(State) for event in get_args(Event)
    }
    assert {s for s, _, _ in _pairs(CLIENT, MESSAGES)} == set(get_args(ClientState))
    assert set(MESSAGES) == {kind for kind, fields in SERVER.items() if fields[0].name == "id"}


def test_every_state_but_the_end_can_be_stopped_and_can_fail() -> None:
    for state in set(get_args(State)) - {"ended"}:
        assert UTTERANCE[state, "stop"] == UTTERANCE[state, "fail"] == "ended"
    for state in set(get_args(ClientState)) - {"ended"}:
        for message in TERMINAL - {"finished"}:
            assert CLIENT_UTTERANCE[state, message] == "ended"


def test_audio_flows_only_in_states_after_started() -> None:
    assert GATE_OPEN < BEGUN
