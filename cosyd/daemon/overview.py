"""What is being said right now, for `status`: who, where, how far. Never the text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Protocol

from cosyd.daemon.utterance import Utterance
from cosyd.wire.states import BEGUN

MAX_ENTRIES: Final = 100
"""A status must stay small however many utterances wait."""


class Speaker(Protocol):
    """What is used of a session."""

    client: str
    """Name of the program, as its `hello` gave it; "": none."""

    def utterances(self) -> list[Utterance]:
        """Those that have not ended."""


def open_utterances(speakers: Iterable[Speaker], now: float) -> list[dict[str, Any]]:
    """Entries of what has not ended: first what has begun, then the rest, each by age."""
    found = [(speaker.client, each) for speaker in speakers for each in speaker.utterances()]
    found.sort(key=lambda pair: (pair[1].state not in BEGUN, pair[1].said_at))
    return [_entry(client, utterance, now) for client, utterance in found[:MAX_ENTRIES]]


def _entry(client: str, utterance: Utterance, now: float) -> dict[str, Any]:
    audio_s, text_end = utterance.position
    return {
        "client": client,
        "channel": utterance.request["channel"],
        "voice": utterance.voice.name,
        "model": utterance.voice.model,
        "state": utterance.state,
        "priority": utterance.request["priority"],
        "age_s": round(now - utterance.said_at, 3),
        "audio_s": round(audio_s, 3),
        "chars": utterance.chars,
        "text_end": text_end,
    }
