"""Pause, resume and stop with both clients, against a real daemon with the tone engine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import islice

import cosyd
from tests.client.helpers import LONG, spoken

Connect = Callable[..., cosyd.Client]


def test_pause_holds_everything_back_and_resume_loses_nothing(client: cosyd.Client) -> None:
    whole = spoken(client, LONG)
    utterance = client.say(LONG)
    frames = iter(utterance)
    heard = [next(frames) for _ in range(20)]
    utterance.pause()
    client.ping()  # the daemon has obeyed, and what it sent before has come
    assert utterance.paused
    offset, text_end = utterance.offset, utterance.text_end
    assert 20 * 960 <= offset < 600 * 960
    assert 0 < text_end < len(LONG)
    client.ping()
    assert utterance.offset == offset
    utterance.resume()
    heard += frames
    assert b"".join(heard) == whole
    assert utterance.result.kind == "finished"


def test_iterating_waits_while_paused(client: cosyd.Client) -> None:
    utterance = client.say(LONG)
    frames = iter(utterance)
    next(frames)
    utterance.pause()
    got: list[bytes] = []
    listener = threading.Thread(target=lambda: got.append(next(frames)))
    listener.start()
    client.ping()
    assert got == []
    utterance.resume()
    listener.join(30)
    assert len(got) == 1
    utterance.stop()


def test_stop_ends_quietly_and_the_connection_speaks_on(client: cosyd.Client) -> None:
    utterance = client.say(LONG)
    frames = iter(utterance)
    heard = [next(frames) for _ in range(5)]
    utterance.stop()
    assert list(frames) == []
    result = utterance.result
    assert (result.kind, result.stats) == ("stopped", {})
    assert len(heard) * 960 <= result.samples < 600 * 960
    assert result.text_end is not None
    assert 0 <= result.text_end < len(LONG)
    assert client.say("One.").result.kind == "finished"
    utterance.stop()
    utterance.pause()
    utterance.resume()
    assert client.say("One.").result.kind == "finished"


def test_a_stop_by_another_thread_ends_the_wait(client: cosyd.Client) -> None:
    utterance = client.say("One.", instruct="slow_ms=60000")
    threading.Timer(0.1, utterance.stop).start()
    assert list(utterance) == []
    assert utterance.result.kind == "stopped"


def test_one_that_was_stopped_before_its_turn(client: cosyd.Client) -> None:
    first = client.say(LONG, channel="c", pace="realtime")
    second = client.say("Two.", channel="c")
    second.stop()
    assert second.started is None
    assert second.result.samples == 0
    first.stop()


def test_a_queued_one_can_be_paused(client: cosyd.Client) -> None:
    first = client.say("One.", channel="c")
    second = client.say("Two.", channel="c")
    second.pause()
    client.ping()
    assert second.paused
    assert list(first)
    client.ping()
    assert second.offset == 0
    second.resume()
    assert list(second)


def test_everything_of_this_connection(client: cosyd.Client, connect: Connect) -> None:
    with connect() as other:
        theirs = other.say(LONG, pace="realtime")
        mine = [client.say(LONG, pace="realtime") for _ in range(2)]
        assert all(utterance.started for utterance in [theirs, *mine])
        client.pause()
        assert [utterance.paused for utterance in mine] == [True, True]
        client.resume()
        assert [next(iter(utterance)) for utterance in mine]
        client.stop()
        assert [utterance.result.kind for utterance in mine] == ["stopped", "stopped"]
        other.ping()
        assert not theirs.paused
        theirs.stop()
        assert theirs.result.kind == "stopped"


def test_everything_in_the_daemon(client: cosyd.Client, connect: Connect) -> None:
    with connect() as other:
        utterance = client.say(LONG * 5)
        frames = iter(utterance)
        heard = [next(frames)]
        other.pause(scope="user")
        client.ping()
        assert utterance.paused
        offset = utterance.offset
        client.ping()
        assert utterance.offset == offset
        other.resume(scope="user")
        heard += islice(frames, 300)
        assert len(heard) == 301
        other.stop(scope="user")
        assert utterance.result.kind == "stopped"
        assert list(frames) == []
