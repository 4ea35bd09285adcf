"""Pause, resume, stop and flow control of the client's end, with scripted bytes."""

from __future__ import annotations

import pytest

from cosyd.wire.connection import ClientConnection
from cosyd.wire.inbox import COLLECT_FRAMES, Inbox
from tests.wire.script import (
    audio,
    control,
    feed,
    finished,
    greeted,
    kinds,
    said,
    started,
    take_all,
)


@pytest.fixture
def core() -> ClientConnection:
    return greeted()


# --- pause, resume, stop -----------------------------------------------------------------------


def test_pause_and_resume(core: ClientConnection) -> None:
    inbox = core.say("One.")
    feed(core, started(), audio(0))
    core.pause(inbox)
    assert inbox.paused
    assert not inbox.ready  # the frame that is here waits too
    feed(core, audio(1), control("paused", 8, 3))
    assert (inbox.offset, inbox.text_end, inbox.ready) == (8, 3, False)
    core.resume(inbox)
    feed(core, control("resumed", 8, 3), audio(2), finished(12))
    assert len(take_all(core, inbox)) == 3
    assert kinds(core) == [("say", 1), ("pause", 1), ("resume", 1)]


def test_a_pause_by_somebody_else_silences_and_a_resume_by_them_goes_on(
    core: ClientConnection,
) -> None:
    inbox = core.say("One.")
    feed(core, started(), audio(0), control("paused", 4))
    assert not inbox.ready
    feed(core, control("resumed", 4))
    assert inbox.ready
    core.pause(inbox)
    feed(core, control("paused", 4), control("resumed", 4))
    assert inbox.ready


def test_a_pause_holds_what_the_daemon_has_finished(core: ClientConnection) -> None:
    inbox = core.say("One.")
    feed(core, started(), audio(0), finished(4))
    core.pause(inbox)
    assert not inbox.ready
    core.resume(inbox)
    assert len(take_all(core, inbox)) == 1
    assert kinds(core) == [("say", 1)]


def test_an_error_comes_through_a_pause(core: ClientConnection) -> None:
    inbox = core.say("One.")
    feed(core, started(), audio(0))
    core.pause(inbox)
    core.receive(b"")
    assert inbox.ready


def test_stop_drops_what_was_not_heard(core: ClientConnection) -> None:
    inbox = core.say("One.")
    feed(core, started(), audio(0), audio(1))
    core.stop(inbox)
    assert inbox.ready
    assert core.take(inbox) is None
    feed(core, audio(2), control("stopped", 12, 2))
    assert core.take(inbox) is None
    assert (inbox.offset, inbox.text_end) == (12, 2)
    core.stop(inbox)
    assert kinds(core) == [("say", 1), ("stop", 1)]


def test_a_stop_by_somebody_else_silences_at_once(core: ClientConnection) -> None:
    inbox = core.say("One.")
    feed(core, started(), audio(0), audio(1), control("stopped", 8, 1))
    assert core.take(inbox) is None


@pytest.mark.parametrize("kind", ["pause", "resume", "stop"])
def test_everything(core: ClientConnection, kind: str) -> None:
    inboxes = [core.say("One."), core.say("Two.")]
    feed(core, started(1), started(2), audio(0, 1), audio(0, 2))
    said(core)
    core.everything(kind)
    core.everything(kind, scope="user")
    assert said(core) == [{"type": kind}, {"type": kind, "scope": "user"}]
    for inbox in inboxes:
        assert inbox.paused == (kind == "pause")
        assert inbox.dropped == (kind == "stop")


# --- flow control ------------------------------------------------------------------------------


def _fill(core: ClientConnection, frames: int = 10) -> Inbox:
    inbox = core.say("Long.")
    feed(core, started(inbox.id), *(audio(n, inbox.id) for n in range(frames)))
    said(core)
    return inbox


def test_a_full_inbox_is_paused_only_when_somebody_waits(core: ClientConnection) -> None:
    inbox = _fill(core, 9)
    assert not core.full
    feed(core, audio(9))
    assert core.full
    assert said(core) == []
    core.relieve()
    core.relieve()
    assert kinds(core) == [("pause", 1)]
    assert not core.full
    feed(core, audio(10), control("paused", 44))
    assert not inbox.paused
    assert inbox.ready  # it is for the daemon, not for the listener


def test_it_is_resumed_when_half_of_it_was_taken(core: ClientConnection) -> None:
    inbox = _fill(core)
    core.relieve()
    feed(core, control("paused", 40))
    said(core)
    for _ in range(4):
        core.take(inbox)
    assert said(core) == []
    core.take(inbox)
    assert kinds(core) == [("resume", 1)]
    feed(core, control("resumed", 40), audio(10), finished(44))
    assert len(take_all(core, inbox)) == 6


def test_a_wanted_pause_outlives_flow_control(core: ClientConnection) -> None:
    inbox = _fill(core)
    core.pause(inbox)
    core.relieve()
    assert kinds(core) == [("pause", 1)]
    feed(core, control("paused", 40))
    core.resume(inbox)
    assert said(core) == []  # still full
    take_all(core, inbox)
    assert kinds(core) == [("resume", 1)]


def test_a_pause_wanted_during_flow_control_stays(core: ClientConnection) -> None:
    inbox = _fill(core)
    core.relieve()
    feed(core, control("paused", 40))
    core.pause(inbox)
    said(core)
    assert not inbox.ready
    core.resume(inbox)
    take_all(core, inbox)
    assert kinds(core) == [("resume", 1)]


def test_whoever_waits_for_the_result_gets_room(core: ClientConnection) -> None:
    inbox = _fill(core)
    core.relieve()
    said(core)
    core.collect(inbox)
    assert kinds(core) == [("resume", 1)]
    assert inbox.limit == COLLECT_FRAMES
    feed(core, control("paused", 40), control("resumed", 40), audio(10))
    assert not core.full
    assert not inbox.stuck


def test_room_has_an_end(core: ClientConnection) -> None:
    inbox = _fill(core)
    assert inbox.stuck
    inbox.listened = True
    assert not inbox.stuck
    core.collect(inbox)
    assert inbox.limit == 10  # a listener makes room by itself
