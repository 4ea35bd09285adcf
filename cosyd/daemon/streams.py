"""The utterances that one worker speaks, each under the number that orders and reports carry."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from cosyd.daemon.utterance import Text, Utterance
from cosyd.errors import from_code


class Streams:
    """Orders for utterances go out through `order`, reports about them come in."""

    def __init__(self, order: Callable[..., None]) -> None:
        """`order(kind, **fields)` reaches the worker."""
        self._order = order
        self._speaking: dict[int, Utterance] = {}
        self._numbers = count(1)

    def __len__(self) -> int:
        return len(self._speaking)

    def begin(self, utterance: Utterance, queue_ms: float, load_ms: float) -> None:
        """Its turn has come."""
        number = next(self._numbers)
        self._speaking[number] = utterance
        utterance.begin(self, cold=utterance.cold, queue_ms=queue_ms, load_ms=load_ms)
        first, *more = utterance.waiting_text
        self._order("speak", stream=number, **_speak_fields(utterance, first))
        for text in more:
            self._order("text", stream=number, **text._asdict())
        utterance.waiting_text.clear()

    def remove(self, utterance: Utterance) -> int | None:
        """Forget one; the number it had, None if it did not speak."""
        number = self._number(utterance)
        if number is not None:
            del self._speaking[number]
        return number

    def clear(self) -> list[Utterance]:
        """Forget all; those that spoke."""
        spoke = list(self._speaking.values())
        self._speaking.clear()
        return spoke

    # Source: what utterances that speak ask ------------------------------------------------

    def write(self, utterance: Utterance, text: Text) -> None:
        """More text."""
        self._tell(utterance, "text", **text._asdict())

    def grant(self, utterance: Utterance, samples: int) -> None:
        """More credit."""
        self._tell(utterance, "credit", samples=samples)

    # what the worker says; of streams that were cancelled meanwhile it does not matter -------

    def on_sentence(self, report: dict[str, Any]) -> None:
        """A sentence begins."""
        if utterance := self._speaking.get(report["stream"]):
            utterance.on_sentence(report)

    def on_chunk(self, report: dict[str, Any]) -> None:
        """Audio."""
        if utterance := self._speaking.get(report["stream"]):
            utterance.on_chunk(report)

    def on_done(self, report: dict[str, Any]) -> None:
        """No more audio will come."""
        if utterance := self._speaking.get(report["stream"]):
            utterance.on_done(report)

    def on_failed(self, report: dict[str, Any]) -> None:
        """The engine could not speak it."""
        if utterance := self._speaking.get(report["stream"]):
            utterance.fail(from_code(report["code"], report["message"]))

    # ---------------------------------------------------------------------------------------

    def _tell(self, utterance: Utterance, kind: str, **fields: Any) -> None:
        if (number := self._number(utterance)) is not None:
            self._order(kind, stream=number, **fields)

    def _number(self, utterance: Utterance) -> int | None:
        return next((n for n, other in self._speaking.items() if other is utterance), None)


def _speak_fields(utterance: Utterance, first: Text) -> dict[str, Any]:
    request = utterance.request
    asked = ("instruct", "speed", "seed", "volume", "loudness", "sample_rate", "encoding")
    return {
        "voice": str(utterance.voice.path),
        "prompt": utterance.voice.default_prompt,
        "text": first.text,
        "final": first.final,
        "language": request["language"],
        "priority": request["priority"],
        "credit_samples": utterance.window_samples,
        **{key: request[key] for key in asked},
    }
