"""`cosy ps`: rows for people, and the real thing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from cosyd.cli.ps import rows, shown

BASE: dict[str, Any] = {
    "client": "cosy",
    "channel": None,
    "voice": "v",
    "model": "m",
    "state": "queued",
    "priority": 0,
    "age_s": 65.0,
    "audio_s": 0.0,
    "chars": 10,
    "text_end": 0,
}


def test_who_speaks_shows_how_far() -> None:
    speaking = BASE | {"state": "speaking", "audio_s": 12.3, "text_end": 4, "channel": "news"}
    assert list(rows([speaking])) == [
        ("speaking", "v", "m", "news", "cosy", "1 min 5 s", "12 s, 40% of the text")
    ]


def test_a_text_that_has_not_come_yet_has_no_percentage() -> None:
    (row,) = rows([BASE | {"state": "paused", "chars": 0, "audio_s": 1.0}])
    assert row[-1] == "1 s"


def test_places_go_by_priority_within_a_model() -> None:
    waiting = [
        BASE | {"state": "speaking"},
        BASE,
        BASE | {"priority": 5, "state": "held"},
        BASE | {"model": "other"},
        BASE,
    ]
    assert [row[-1] for row in rows(waiting)][1:] == [
        *("waits, number 2", "waits, number 1", "waits, number 1", "waits, number 3"),
    ]


@pytest.mark.parametrize(
    ("name", "text"), [("a\x1b[2Jb\n", "a?[2Jb?"), ("", "-"), (None, "-"), ("中", "中")]
)
def test_names_cannot_move_the_cursor(name: str | None, text: str) -> None:
    assert shown(name) == text


def test_nobody_speaks_and_no_daemon_runs(fresh: Any) -> None:
    assert fresh("ps").stdout == b"Nothing is being spoken.\n"
    assert json.loads(fresh("ps", "--json").stdout) == {"utterances": []}
    assert fresh.status() == {"running": False}


def test_what_is_spoken_is_listed_without_its_text(cosy: Any, until: Callable[..., None]) -> None:
    text = "Xylophones everywhere. " * 200
    with cosy.start("say", "--channel", "c1", "-o", "-", text) as speaking:
        try:
            until(lambda: b"speaking" in cosy("ps").stdout)
            told = cosy("ps")
            (entry,) = json.loads(cosy("ps", "--json").stdout)["utterances"]
        finally:
            speaking.kill()
    assert told.stdout.startswith(b"STATE")
    assert (entry["channel"], entry["client"], entry["voice"]) == ("c1", "cosy", "tone")
    assert entry["chars"] == len(text)
    assert b"Xylo" not in told.stdout + json.dumps(entry).encode()
