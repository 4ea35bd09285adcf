"""The client's end with scripted bytes: what it sends and whom it tells, for several chunkings."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd import errors
from cosyd.wire.connection import ClientConnection, split_text
from cosyd.wire.inbox import Mark
from tests.wire.script import (
    CHUNKINGS,
    audio,
    error,
    failed,
    feed,
    finished,
    greeted,
    mark,
    packed,
    said,
    started,
    take_all,
)


@pytest.fixture
def core() -> ClientConnection:
    return greeted()


# --- saying ------------------------------------------------------------------------------------


def test_hello_travels_with_the_first_say() -> None:
    core = ClientConnection()
    core.say("Hi.")
    assert [message["type"] for message in said(core)] == ["hello", "say"]


def test_fields_that_are_not_given_are_not_sent(core: ClientConnection) -> None:
    core.say("Hi.", voice="tone", speed=None, loudness=..., seed=7)
    core.say("Hi.", loudness=None)
    bare = {"type": "say", "text": "Hi.", "final": True}
    assert said(core) == [
        {**bare, "id": 1, "voice": "tone", "seed": 7},
        {**bare, "id": 2, "loudness": None},
    ]


def test_an_unknown_field_is_a_programming_error_and_uses_no_id(core: ClientConnection) -> None:
    with pytest.raises(TypeError, match="voise"):
        core.say("Hi.", voise="tone")
    assert core.say("Hi.").id == 1


@pytest.mark.parametrize(
    ("text", "fields"), [("\udcff", {}), ("Hi.", {"seed": 2**70}), ("Hi.", {"voice": object()})]
)
def test_what_cannot_be_packed_is_a_bad_request_and_sends_nothing(
    core: ClientConnection, text: str, fields: dict[str, Any]
) -> None:
    with pytest.raises(errors.BadRequest, match="say cannot be sent"):
        core.say(text, **fields)
    assert said(core) == []
    assert core.say("Hi.").id == 1


def test_long_text_goes_in_pieces(core: ClientConnection) -> None:
    text = "word " * 3000
    inbox = core.say(text)
    first, *rest = said(core)
    assert (first["type"], first["final"]) == ("say", False)
    assert [message["type"] for message in rest] == ["text"] * len(rest)
    assert [message["final"] for message in rest] == [False] * (len(rest) - 1) + [True]
    assert first["text"] + "".join(message["text"] for message in rest) == text
    assert inbox.text_final


def test_text_follows_and_ends(core: ClientConnection) -> None:
    inbox = core.say("", final=False)
    core.text(inbox, "One.", flush=True)
    core.text(inbox, "x" * 5001)
    core.text(inbox, "", final=True)
    pieces = [(m["text"], m.get("final", False), m.get("flush", False)) for m in said(core)[1:]]
    assert pieces == [
        ("One.", False, True),
        ("x" * 5000, False, False),
        ("x", False, False),
        ("", True, False),
    ]
    with pytest.raises(errors.BadRequest, match="all its text"):
        core.text(inbox, "more")


def test_text_for_an_utterance_that_has_ended_goes_nowhere(core: ClientConnection) -> None:
    inbox = core.say("", final=False)
    feed(core, failed("busy"))
    stopped = core.say("", final=False)
    core.stop(stopped)
    said(core)
    core.text(inbox, "more")
    core.text(stopped, "more")
    assert said(core) == []


@given(st.text(alphabet="ab \n", max_size=300), st.integers(1, 40))
def test_split_text(text: str, limit: int) -> None:
    pieces = list(split_text(text, limit))
    assert "".join(pieces) == text
    assert all(len(piece) <= limit for piece in pieces)
    assert all(pieces) or pieces == [""]
    for piece, following in pairwise(pieces):
        late_space = any(letter.isspace() for letter in piece[limit // 2 :])
        assert piece[-1].isspace() or not late_space, (piece, following)


# --- hearing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", CHUNKINGS)
def test_an_utterance_from_start_to_end(core: ClientConnection, chunk: int) -> None:
    inbox = core.say("One. Two.")
    feed(core, started(), mark(0, 0, 4), audio(0), audio(1), chunk=chunk)
    assert inbox.started is not None
    assert inbox.started["voice"] == "tone"
    assert core.take(inbox) == b"\0" * 8
    assert (inbox.offset, inbox.taken) == (8, 4)
    feed(core, mark(8, 5, 9), audio(2), finished(11), chunk=chunk)
    assert take_all(core, inbox) == [b"\1" * 8, b"\2" * 8]
    assert inbox.unpadded(b"\2" * 8) == b"\2" * 6
    assert core.take(inbox) is None
    assert inbox.ended
    assert inbox.marks == [Mark("sentence", 0, 0, 4), Mark("sentence", 8, 5, 9)]
    assert core.lost is None


@pytest.mark.parametrize("chunk", CHUNKINGS)
def test_two_utterances_and_a_call_at_once(core: ClientConnection, chunk: int) -> None:
    one, two = core.say("One."), core.say("Two.")
    ping, status = core.call("ping"), core.call("voices")
    feed(
        core,
        started(2),
        started(1),
        audio(0, 2),
        {"type": "voices", "voices": ["v"], "ref": 3},
        audio(0, 1),
        audio(1, 2),
        {"type": "pong", "nonce": None, "ref": 2},
        finished(4, 1),
        chunk=chunk,
    )
    assert (len(one.frames), len(two.frames)) == (1, 2)
    assert ping.result() == {"nonce": None}
    assert status.result() == {"voices": ["v"]}
    assert (one.ended, two.ended) == (True, False)


def test_failed_raises_after_the_frames(core: ClientConnection) -> None:
    inbox = core.say("One.")
    feed(core, started(), audio(0), failed("engine_crashed"))
    assert core.take(inbox)
    with pytest.raises(errors.EngineCrashed, match="why"):
        core.take(inbox)


def test_an_unknown_error_code_is_internal(core: ClientConnection) -> None:
    inbox = core.say("One.")
    feed(core, failed("too_windy"))
    with pytest.raises(errors.Internal, match="too_windy"):
        core.take(inbox)


@pytest.mark.parametrize(
    "messages",
    [
        [audio(0)],
        [started(), started()],
        [finished(0)],
        [started(), audio(1)],
        [started(), audio(0), audio(0)],
        [started(), {**audio(0), "pcm": b"\0" * 7}],
        [started(), {**audio(0), "pcm": "text"}],
        [{**started(), "sample_rate": 1}],
        [{"type": "failed", "id": 1}],
        [{"type": "pong", "ref": 1}, {"type": "voices", "voices": 1}],
    ],
)
@pytest.mark.parametrize("chunk", CHUNKINGS)
def test_a_broken_daemon_loses_the_connection(messages: list[dict[str, Any]], chunk: int) -> None:
    core = ClientConnection()
    inbox, call = core.say("One."), core.call("status")
    feed(core, *messages, chunk=chunk)
    assert isinstance(core.lost, errors.Protocol)
    assert inbox.ended
    with pytest.raises(errors.Protocol):
        call.result()


def test_a_newer_daemon_may_say_more(core: ClientConnection) -> None:
    inbox = core.say("One.")
    feed(
        core,
        {"type": "weather", "id": 1, "wind": "west"},
        {**started(), "mood": "fine"},
        audio(0, number=99),
        error("bad_request"),
        {"type": "pong", "nonce": 1, "ref": "not ours"},
    )
    assert core.lost is None
    assert inbox.started is not None


@given(st.binary(max_size=200))
def test_garbage_is_never_raised(data: bytes) -> None:
    core = ClientConnection()
    inbox = core.say("One.")
    core.receive(data)
    core.receive(b"")
    assert inbox.ended
    assert core.lost is not None


# --- calls -------------------------------------------------------------------------------------


def test_an_error_with_the_ref_of_a_call_is_its_answer(core: ClientConnection) -> None:
    call = core.call("unload", model="tone")
    assert said(core) == [{"type": "unload", "model": "tone", "ref": 2}]
    feed(core, error("busy", ref=2))
    assert call.done
    with pytest.raises(errors.Busy):
        call.result()
    assert core.lost is None


def test_another_answer_than_asked_for_is_a_broken_daemon(core: ClientConnection) -> None:
    call = core.call("voices")
    feed(core, {"type": "pong", "ref": 2})
    assert isinstance(core.lost, errors.Protocol)
    assert not call.done or call.error


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("unsupported_version", errors.UnsupportedVersion),
        ("busy", errors.Busy),
        ("forbidden", errors.Forbidden),
        ("protocol", errors.Protocol),
    ],
)
@pytest.mark.parametrize("more", [{}, {"ref": 1}])
def test_a_refused_connection(
    code: str, kind: type[errors.CosydError], more: dict[str, int]
) -> None:
    core = ClientConnection()
    inbox, call = core.say("One."), core.call("status")
    feed(core, error(code, **more))
    core.receive(b"")
    assert type(core.lost) is kind
    assert type(call.error) is kind
    assert type(inbox.error) is kind
    assert type(core.hello.error) is kind


# --- the end of the connection -----------------------------------------------------------------


def test_the_end_of_the_stream_ends_everything(core: ClientConnection) -> None:
    inbox, call = core.say("One."), core.call("ping")
    feed(core, started(), audio(0))
    core.receive(packed(audio(1))[:10])
    core.receive(b"")
    assert core.take(inbox)
    with pytest.raises(errors.Unreachable):
        core.take(inbox)
    with pytest.raises(errors.Unreachable):
        call.result()
    for ask in (
        lambda: core.say("Hi."),
        lambda: core.call("ping"),
        lambda: core.everything("stop"),
    ):
        with pytest.raises(errors.Unreachable):
            ask()
    core.pause(inbox)
    core.stop(inbox)
    assert said(core) == []
