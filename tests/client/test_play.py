"""Playing, with a loudspeaker that only remembers: what is written, and when it falls silent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

import cosyd
from cosyd.audio import player as players
from cosyd.audio.player import PlayerFailed
from tests.client.helpers import LONG

Connect = Callable[..., cosyd.Client]


class Loudspeaker:
    """A `Player` that plays as fast as it is written to, and keeps the order of calls."""

    def __init__(self) -> None:
        self.opened: tuple[Any, ...] = ()
        self.calls: list[str] = []
        self.sound = b""
        self.broken = False
        self.news = threading.Condition()

    def open(self, *form: Any) -> Loudspeaker:
        self.opened = form
        return self

    @property
    def played_samples(self) -> int:
        return len(self.sound) // 2

    def write(self, pcm: bytes) -> None:
        if self.broken:
            raise PlayerFailed("the loudspeaker was pulled out: plug it in")
        if "abort" in self.calls:
            return
        assert self.calls[-1:] not in (["pause"], ["close"])
        self.sound += pcm
        self._note("write")

    def drain(self) -> None:
        self._note("drain")

    def pause(self) -> None:
        self._note("pause")

    def resume(self) -> None:
        self._note("resume")

    def abort(self) -> None:
        self._note("abort")

    def close(self) -> None:
        self._note("close")

    def _note(self, call: str) -> None:
        with self.news:
            if self.calls[-1:] != [call] or call != "write":
                self.calls.append(call)
            self.news.notify_all()

    def wait_for(self, call: str) -> None:
        with self.news:
            assert self.news.wait_for(lambda: self.calls[-1:] == [call], 30), self.calls


@pytest.fixture
def loudspeaker(monkeypatch: pytest.MonkeyPatch) -> Loudspeaker:
    found = Loudspeaker()
    monkeypatch.setattr(players, "open_player", found.open)
    return found


class Playing(threading.Thread):
    """Plays in a thread of its own."""

    def __init__(self, utterance: cosyd.Utterance) -> None:
        super().__init__()
        self._utterance = utterance
        self.result: cosyd.Result | None = None
        self.start()

    def run(self) -> None:
        self.result = self._utterance.play()

    def ended(self) -> cosyd.Result:
        self.join(30)
        assert self.result is not None
        return self.result


def test_all_of_it_is_played_without_the_padding(
    client: cosyd.Client, loudspeaker: Loudspeaker
) -> None:
    utterance = client.say("One two.", instruct="word_ms=33", sample_rate=24000)
    result = utterance.play("usb")
    assert loudspeaker.opened == ("usb", 24000, "s16le", 1)
    assert loudspeaker.calls == ["write", "drain", "close"]
    padded = b"".join(client.say("One two.", instruct="word_ms=33", sample_rate=24000))
    assert padded.startswith(loudspeaker.sound)
    assert result.samples * 2 <= len(loudspeaker.sound) <= len(padded)


def test_pause_and_resume_and_stop(client: cosyd.Client, loudspeaker: Loudspeaker) -> None:
    utterance = client.say(LONG, pace="realtime")
    playing = Playing(utterance)
    loudspeaker.wait_for("write")
    utterance.pause()
    loudspeaker.wait_for("pause")
    heard = loudspeaker.played_samples
    client.ping()
    assert loudspeaker.played_samples == heard
    utterance.resume()
    loudspeaker.wait_for("write")
    utterance.stop()
    assert playing.ended().kind == "stopped"
    assert loudspeaker.calls[:4] == ["write", "pause", "resume", "write"]
    assert loudspeaker.calls[-1] == "close"
    assert "drain" not in loudspeaker.calls
    assert "abort" in loudspeaker.calls


def test_everybody_can_pause_and_resume_and_stop_it(
    client: cosyd.Client, connect: Connect, loudspeaker: Loudspeaker
) -> None:
    utterance = client.say(LONG, pace="realtime")
    playing = Playing(utterance)
    loudspeaker.wait_for("write")
    with connect() as other:
        other.pause(scope="user")
        loudspeaker.wait_for("pause")
        other.resume(scope="user")
        loudspeaker.wait_for("write")
        other.stop(scope="user")
        assert playing.ended().kind == "stopped"
    assert loudspeaker.calls == ["write", "pause", "resume", "write", "close"]


def test_a_client_stops_all_that_it_plays(client: cosyd.Client, loudspeaker: Loudspeaker) -> None:
    playing = Playing(client.say(LONG, pace="realtime"))
    loudspeaker.wait_for("write")
    client.stop()
    assert playing.ended().kind == "stopped"
    assert "abort" in loudspeaker.calls
    assert "drain" not in loudspeaker.calls


def test_what_the_daemon_has_finished_can_still_be_paused(
    client: cosyd.Client, loudspeaker: Loudspeaker
) -> None:
    utterance = client.say("One two three.")
    assert utterance.result.kind == "finished"
    utterance.pause()
    playing = Playing(utterance)
    loudspeaker.wait_for("pause")
    assert loudspeaker.sound == b""
    utterance.resume()
    assert playing.ended().kind == "finished"
    assert loudspeaker.calls == ["pause", "resume", "write", "drain", "close"]


def test_a_broken_loudspeaker_is_told_and_closed(
    client: cosyd.Client, loudspeaker: Loudspeaker
) -> None:
    loudspeaker.broken = True
    utterance = client.say(LONG, pace="realtime")
    with pytest.raises(PlayerFailed):
        utterance.play()
    assert loudspeaker.calls == ["close"]
    utterance.stop()
    assert client.say("One.").result.kind == "finished"


def test_one_that_was_stopped_before_it_began_opens_no_loudspeaker(
    client: cosyd.Client, loudspeaker: Loudspeaker
) -> None:
    first = client.say(LONG, channel="c", pace="realtime")
    second = client.say("Two.", channel="c")
    second.stop()
    assert second.play().samples == 0
    assert loudspeaker.opened == ()
    first.stop()
