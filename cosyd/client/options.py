"""What can be asked of an utterance, typed once for both clients. Only type checkers import it."""

from __future__ import annotations

from types import EllipsisType
from typing import Literal, TypedDict


class Say(TypedDict, total=False):
    """Fields of `say`; one that is left out, or None, is the daemon's to choose."""

    voice: str | None
    language: str | None
    """BCP 47 tag such as "en" or "zh"; the daemon detects it otherwise."""
    instruct: str | None
    """How to say it, in words, for voices that can."""
    speed: float | None
    """0.5 to 2."""
    volume: float | None
    """0 to 2; 1 changes nothing."""
    sample_rate: int | None
    """Hz: 8000, 16000, 22050, 24000, 44100 or 48000."""
    encoding: Literal["s16le", "f32le"] | None
    frame_ms: int | None
    """10 to 100."""
    loudness: float | EllipsisType | None
    """LUFS, -40 to -5; None: off; `...` or left out: the daemon's."""
    pace: Literal["none", "realtime"] | None
    """"realtime": at most 200 ms ahead of the clock, so that a pause is heard at once."""
    seed: int | None
    priority: int | None
    """-10 to 10."""
    channel: str | None
    """Utterances of one channel are spoken one after another."""
    interrupt: bool | None
    """Stop those of the channel first."""
    ssml: bool | None
    marks: bool | None
    keep_alive: float | None
    """Seconds the model stays resident afterwards; 0: none, -1: for ever."""
