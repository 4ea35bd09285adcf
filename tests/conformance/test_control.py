"""`pause`, `resume`, `stop`: by id, by connection, by user; and what is silence."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conformance.plain_client import Message, Peer, still_speaks

LONG = " ".join(f"Word{number}." for number in range(40))
SLOW = "slow_ms=20"
"""Forty steps of this are long enough to act in and short enough to wait for."""


def begun(peer: Peer, **fields: object) -> int:
    """An utterance that has sent audio and has much more to say."""
    id = peer.say(LONG, **{"instruct": SLOW, "sample_rate": 8000, **fields})
    peer.until("audio", id=id)
    return id


def finishes(peer: Peer, id: int) -> None:
    """The whole of LONG came."""
    heard = peer.hear(id)
    assert heard.end["type"] == "finished"
    assert heard.seconds == pytest.approx(4.0, abs=0.05)


def test_pause_and_resume(peer: Peer, other: Peer) -> None:
    id = begun(peer)
    peer.send({"type": "pause", "id": id})
    paused = peer.until("paused", id=id)
    assert 0 < paused["text_end"] <= len(LONG)
    peer.quiet()
    still_speaks(other)  # the engine is free, and time passes
    assert peer.quiet() == []
    peer.send({"type": "resume", "id": id})
    resumed = peer.until("resumed", id=id)
    assert resumed["offset"] == paused["offset"]  # the referee sees that the offsets go on there
    finishes(peer, id)
    still_speaks(peer)


def test_stop(peer: Peer) -> None:
    id = begun(peer)
    peer.send({"type": "stop", "id": id}, {"type": "say", "id": id + 1, "text": "Next."})
    peer.last_id = id + 1
    stopped = peer.until("stopped", id=id)
    assert stopped["offset"] > 0
    assert 0 < stopped["text_end"] <= len(LONG)
    assert peer.hear(id + 1).seconds == pytest.approx(0.1, abs=0.01)
    still_speaks(peer)


def test_stop_while_paused(peer: Peer) -> None:
    id = begun(peer)
    peer.send({"type": "pause", "id": id}, {"type": "stop", "id": id})
    paused = peer.until("paused", id=id)
    assert peer.until("stopped", id=id)["offset"] == paused["offset"]
    peer.send({"type": "resume", "id": id})
    peer.quiet()
    still_speaks(peer)


@pytest.mark.parametrize("times", [2, 5])
def test_what_is_so_already_is_silence(peer: Peer, times: int) -> None:
    id = begun(peer)
    peer.send(*[{"type": "resume", "id": id}] * times)
    assert "resumed" not in peer.quiet()
    peer.send(*[{"type": "pause", "id": id}] * times)
    assert peer.quiet().count("paused") == 1
    peer.send(*[{"type": "resume", "id": id}] * times)
    assert peer.quiet().count("resumed") == 1
    peer.send(*[{"type": "stop", "id": id}] * times)
    assert peer.quiet().count("stopped") == 1
    still_speaks(peer)


@pytest.mark.parametrize("kind", ["pause", "resume", "stop"])
def test_what_has_ended_is_silence(peer: Peer, kind: str) -> None:
    peer.last_id = 9
    finished = peer.say("One.")
    peer.hear(finished)
    failed = peer.say("...")
    peer.hear(failed)
    stopped = begun(peer)
    peer.send({"type": "stop", "id": stopped})
    peer.hear(stopped)
    peer.quiet()
    never_said = 3  # below the highest
    for id in (finished, failed, stopped, never_said):
        peer.send({"type": kind, "id": id})
    peer.send({"type": kind}, {"type": kind, "scope": "user"})
    assert peer.quiet() == []
    still_speaks(peer)


@pytest.mark.parametrize("kind", ["pause", "resume", "stop"])
def test_wrong_ids_and_scopes(peer: Peer, kind: str) -> None:
    for id in (0, 1, 2**31 - 1):
        assert peer.ask({"type": kind, "id": id})["code"] == "unknown_id"
    going = begun(peer)
    wrong: list[Message] = [{"id": id} for id in (-1, 2**31, 2**63, 1.0, "1", b"1", True, [1])]
    wrong += [{"scope": scope} for scope in ("", "world", 1, b"user", True)]
    for fields in wrong:
        peer.send({"type": kind, **fields})
        error = peer.until("error")
        assert error["code"] == "bad_request", fields
        assert next(iter(fields)) in error["message"]
    peer.send({"type": kind, "id": going + 1})
    assert peer.until("error")["code"] == "unknown_id"
    finishes(peer, going)
    still_speaks(peer)


def test_an_id_belongs_to_its_connection(peer: Peer, other: Peer) -> None:
    id = begun(peer)
    assert other.ask({"type": "stop", "id": id})["code"] == "unknown_id"
    other.say("One.")
    other.hear(1)
    other.send({"type": "stop", "id": 1})
    assert other.quiet() == []
    finishes(peer, id)


def test_without_id_all_of_this_connection_and_no_other(peer: Peer, other: Peer) -> None:
    mine, theirs = [begun(peer), begun(peer)], begun(other)
    peer.send({"type": "pause"})
    for id in mine:
        peer.until("paused", id=id)
    assert "audio" not in peer.quiet() or peer.quiet() == []
    peer.send({"type": "resume", "id": mine[0]})
    peer.until("audio", id=mine[0])
    peer.send({"type": "resume"})
    peer.until("resumed", id=mine[1])
    peer.send({"type": "stop"})
    for id in mine:
        assert peer.hear(id).end["type"] == "stopped"
    finishes(other, theirs)
    still_speaks(peer)


def test_the_user_is_every_connection(connect: Callable[[], Peer]) -> None:
    owners, remote = [connect(), connect()], connect()
    ids = [begun(owner) for owner in owners]
    for kind, answer in (("pause", "paused"), ("resume", "resumed"), ("stop", "stopped")):
        remote.send({"type": kind, "scope": "user"})
        for owner, id in zip(owners, ids, strict=True):
            owner.until(answer, id=id)
    assert remote.quiet() == []
    for owner in (*owners, remote):
        still_speaks(owner)


def test_pause_while_queued(peer: Peer) -> None:
    first = begun(peer, channel="c")
    second = peer.say("One two.", channel="c")
    peer.send({"type": "pause", "id": second})
    assert peer.until("paused", id=second)["offset"] == 0
    finishes(peer, first)
    assert "audio" not in peer.quiet()
    peer.send({"type": "resume", "id": second})
    assert peer.until("resumed", id=second)["offset"] == 0
    assert peer.hear(second).seconds == pytest.approx(0.2, abs=0.01)
    still_speaks(peer)


def test_pause_at_once(peer: Peer) -> None:
    say: Message = {"type": "say", "id": 1, "text": "One two."}
    peer.send(say, {"type": "pause", "id": 1}, {"type": "ping"})
    peer.last_id = 1
    assert peer.until("paused", id=1)["offset"] == 0
    assert "audio" not in peer.quiet()
    peer.send({"type": "resume"})
    peer.until("resumed", id=1)
    assert peer.hear(1).seconds == pytest.approx(0.2, abs=0.01)


def test_stop_while_queued(peer: Peer) -> None:
    first = begun(peer, channel="c")
    second, third = (peer.say("One two.", channel="c") for _ in range(2))
    peer.send({"type": "stop", "id": second})
    heard = peer.hear(second)
    assert not heard.started
    assert (heard.end["type"], heard.end["offset"], heard.end["text_end"]) == ("stopped", 0, 0)
    peer.send({"type": "stop", "id": first})
    peer.until("stopped", id=first)
    assert peer.hear(third).end["type"] == "finished"
    still_speaks(peer)


def test_say_and_stop_in_one_write(peer: Peer) -> None:
    for _ in range(20):
        id = peer.last_id = peer.last_id + 1
        peer.send({"type": "say", "id": id, "text": LONG}, {"type": "stop", "id": id})
        assert peer.hear(id).end["type"] in ("stopped", "finished")
    still_speaks(peer)


def test_pause_and_resume_many_times(peer: Peer) -> None:
    id = begun(peer)
    for _ in range(10):
        peer.send({"type": "pause", "id": id})
        paused = peer.until("paused", id=id)
        peer.send({"type": "resume", "id": id})
        assert peer.until("resumed", id=id)["offset"] == paused["offset"]
        peer.until("audio", id=id)
        peer.quiet()
    finishes(peer, id)


def test_text_end_follows_the_audio(peer: Peer) -> None:
    """Estimated, but never before the sentence that sounds nor after it."""
    id = peer.say("One. " * 50, pace="realtime", sample_rate=8000)
    for _ in range(10):
        peer.until("audio", id=id)
    peer.send({"type": "stop", "id": id})
    stopped = peer.until("stopped", id=id)
    sentences = stopped["offset"] / 800
    assert sentences - 1 <= stopped["text_end"] / 5 <= sentences + 1
