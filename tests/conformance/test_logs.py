"""What daemon and workers log: in the format that was asked for, and nothing of what is spoken."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.conformance.plain_client import Peer
from tests.conformance.running import Running

TROUBLE = ("crash_after=1", "fail_after=1", "nan_after=0", "nonsense", "slow_ms=1")


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_format_holds_spoken_text(start: Callable[..., Running], form: str) -> None:
    daemon = start(COSYD_LOG_FORMAT=form, COSYD_LOG_LEVEL="debug")
    peer = Peer(daemon.path)
    for knobs in TROUBLE:
        peer.speak("Xylographic. Quokka.", instruct=knobs)
    peer.speak("Xylographic", voice="tone-broken")
    peer.speak("Xylographic", voice="nobody")
    peer.send({"type": "stop", "id": peer.say("Xylographic", final=False)})
    peer.quiet()
    peer.close()
    log = daemon.log.read_text()
    assert "say" in log and "text_hash" in log
    assert "xylographic" not in log.lower() and "quokka" not in log.lower()


def test_every_line_of_json_is_an_object_workers_too(start: Callable[..., Running]) -> None:
    daemon = start(COSYD_LOG_FORMAT="json", COSYD_LOG_LEVEL="debug")
    peer = Peer(daemon.path)
    for knobs in TROUBLE:
        peer.speak("One. Two.", instruct=knobs)
    peer.close()
    lines = [json.loads(line) for line in daemon.log.read_text().splitlines()]
    assert all(list(line)[:4] == ["ts", "level", "logger", "process"] for line in lines)
    assert {line["logger"].split(".")[1] for line in lines} >= {"daemon", "session", "worker"}
    assert len({line["process"] for line in lines}) > 1
