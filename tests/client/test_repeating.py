"""When an engine dies: what was not heard is said once more, what was heard never is."""

from __future__ import annotations

import os
import signal

import pytest

import cosyd
from cosyd import errors
from tests.client.helpers import LONG, spoken


def _worker(client: cosyd.Client) -> int:
    """The process that speaks with the tone model."""
    return next(int(m["pid"]) for m in client.status()["models"] if m["model"] == "tone")


def test_an_engine_that_dies_before_the_first_sound_is_asked_once_more(
    client: cosyd.Client,
) -> None:
    whole = spoken(client, "One two. Three.")
    utterance = client.say("One two. Three.", instruct="slow_ms=400")
    assert utterance.started
    first = utterance.id
    os.kill(_worker(client), signal.SIGKILL)
    assert b"".join(utterance) == whole
    assert utterance.id > first
    assert utterance.result.kind == "finished"


def test_what_was_heard_is_not_repeated_when_the_engine_dies(client: cosyd.Client) -> None:
    spoken(client, "One.")
    utterance = client.say(LONG, pace="realtime")
    frames = iter(utterance)
    next(frames)
    os.kill(_worker(client), signal.SIGKILL)
    with pytest.raises(errors.EngineCrashed, match="not repeated"):
        list(frames)
    assert utterance.offset > 0
    assert client.say("One.").result.kind == "finished"
