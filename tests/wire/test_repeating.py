"""What a client says again after a connection or an engine was lost, and what it never does."""

from __future__ import annotations

import pytest

from cosyd import errors
from cosyd.wire.connection import REPEAT_BYTES, ClientConnection
from tests.wire.script import FRAME, audio, control, failed, finished, hello, packed, said, started


def test_what_was_said_is_repeated_until_the_first_byte() -> None:
    core = ClientConnection("test")
    core.say("One.")
    first = said(core)
    core.call("ping")
    second = said(core)
    assert core.repeat()
    core.call("status")
    assert [m["type"] for m in said(core)] == [m["type"] for m in first + second] + ["status"]
    assert not core.answered
    core.receive(packed(hello(), started(), audio(0)))
    assert core.answered
    assert not core.repeat()


def test_too_much_is_not_repeated() -> None:
    core = ClientConnection()
    small = core.say("x" * (REPEAT_BYTES // 2))
    assert core.repeat()
    large = core.say("x" * (REPEAT_BYTES // 2))
    assert core.repeat()
    assert large.error is not None and not small.ended
    assert {m["id"] for m in said(core) if m["type"] in ("say", "text")} == {3}


def test_a_lost_connection_is_not_repeated() -> None:
    core = ClientConnection()
    core.lose(errors.Unreachable("closed"))
    assert not core.repeat()


def test_what_was_not_heard_is_said_again_over_a_new_connection() -> None:
    core = ClientConnection()
    heard, unheard = core.say("One."), core.say("Two. ", final=False, interrupt=True, channel="c")
    core.text(unheard, "Three.", final=True)
    asked = core.call("status")
    said(core)
    core.receive(packed(hello(), started(1), started(2), audio(0, 1)))
    assert core.answered and core.repeat()
    assert not core.answered and core.lost is None
    assert isinstance(heard.error, errors.Unreachable) and isinstance(
        asked.error, errors.Unreachable
    )
    again = said(core)
    assert [m["type"] for m in again] == ["hello", "say", "text"]
    again[1].pop("channel")
    assert again[1] == {"type": "say", "id": 3, "text": "Two. ", "final": False, "interrupt": False}
    assert again[2]["id"] == unheard.id == 3
    core.receive(packed(hello(again[0]["ref"]), started(3), audio(0, 3), finished(FRAME, 3)))
    assert core.hello.done
    assert unheard.take() is not None and unheard.take() is None


def test_it_is_said_again_once_and_not_if_it_was_stopped() -> None:
    core = ClientConnection()
    inbox, stopped = core.say("One."), core.say("Two.")
    core.stop(stopped)
    core.receive(packed(hello()))
    assert core.repeat()
    assert stopped.error is not None and not inbox.ended
    core.receive(packed(hello()))
    assert not core.repeat()
    core.receive(b"")
    assert isinstance(inbox.error, errors.Unreachable)


def test_a_new_connection_that_is_dropped_before_its_first_byte_is_repeated_too() -> None:
    core = ClientConnection()
    inbox = core.say("One.")
    core.receive(packed(hello()))
    assert core.repeat()
    first = said(core)
    assert core.repeat()
    assert said(core) == first and not inbox.ended


def test_an_engine_that_died_before_any_sound_gets_it_once_more() -> None:
    core = ClientConnection()
    inbox = core.say("One.", voice="tone")
    core.pause(inbox)
    said(core)
    core.receive(packed(started(1), control("paused"), failed("engine_crashed")))
    assert [(m["type"], m["id"]) for m in said(core)] == [("say", 2), ("pause", 2)]
    assert not inbox.ended and inbox.paused
    core.receive(packed(failed("engine_crashed", 2)))
    assert isinstance(inbox.error, errors.EngineCrashed) and said(core) == []


@pytest.mark.parametrize("code", ["engine_timeout", "busy", "internal", "model_load_failed"])
def test_what_failed_otherwise_is_not_said_again(code: str) -> None:
    core = ClientConnection()
    inbox = core.say("One.")
    said(core)
    core.receive(packed(failed(code)))
    assert inbox.ended and said(core) == []


def test_what_was_heard_is_not_said_again_and_the_error_says_so() -> None:
    core = ClientConnection()
    inbox = core.say("One.")
    said(core)
    core.receive(packed(started(), audio(0), failed("engine_crashed")))
    assert inbox.take() is not None
    with pytest.raises(errors.EngineCrashed, match="not repeated"):
        inbox.take()
    assert said(core) == []


def test_text_that_came_in_pieces_is_said_again_whole_or_not_at_all() -> None:
    core = ClientConnection()
    small, large = core.say("", final=False), core.say("", final=False)
    for number in range(20):
        core.text(small, f"{number}. ")
    for _ in range(300):
        core.text(large, "x" * 4000)
    said(core)
    core.receive(packed(failed("engine_crashed", 1), failed("engine_crashed", 2)))
    again = said(core)
    assert "".join(m["text"] for m in again) == "".join(f"{n}. " for n in range(20))
    assert large.error is not None
    core.text(small, "more")
    assert said(core)[0]["id"] == small.id == 3
