"""The worker's loop: obey orders, run a step, send what the credit allows. One thread computes.

A second thread only reads the link, so that a cancel reaches a running step and the end of the
daemon ends this process at once, whatever it computes.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

from cosyd.audio.loudness import gain_for
from cosyd.engines.base import Chunk, Engine, Interrupted, Request
from cosyd.errors import CosydError
from cosyd.link.orders import check_order, decoder, pack
from cosyd.worker.boundary import attempt
from cosyd.worker.memory import memory
from cosyd.worker.scheduler import pick
from cosyd.worker.speech import Format, Speech, parts
from cosyd.worker.voices import Voices

_READ_BYTES: Final = 65_536


class Worker:
    """One loaded engine and the utterances it speaks."""

    def __init__(
        self,
        engine: Engine,
        link: socket.socket,
        leave: Callable[[int], None] = os._exit,
    ) -> None:
        self._engine = engine
        self._link = link
        self._leave = leave
        self._inbox: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._speeches: dict[int, Speech] = {}
        self._begun = 0  # number of the last stream that was begun: they grow
        self._batch: list[Speech] = []
        self._unwanted: set[int] = set()  # cancelled before they were begun
        self._picking = threading.Lock()  # around what both threads look at: all of the above
        self._sending = threading.Lock()
        self._voices = Voices()

    def run(self) -> None:
        """Obey and step for ever; the process ends when the link does."""
        threading.Thread(target=self._read, name="link", daemon=True).start()
        while True:
            for order in self._waiting_orders():
                getattr(self, f"_on_{order['type']}")(order)
            with self._picking:
                self._batch = pick(self._speeches.values(), self._engine.batch)
            if self._batch:
                self._step(self._batch)

    # the reading thread ------------------------------------------------------------------

    def _read(self) -> None:
        incoming = decoder()
        try:
            while data := self._receive():
                incoming.feed(data)
                while (message := incoming.next_message()) is not None:
                    self._accept(message)
        finally:
            self._leave(0)  # the daemon is gone or has no use for us any more

    def _accept(self, message: dict[str, Any]) -> None:
        order = {"type": message["type"], **check_order(message)}
        if order["type"] == "cancel" and not self._interrupt(order["stream"]):
            # Another stream's step may run: whoever cancelled this one need not wait for that.
            self._send(pack("halted", stream=order["stream"]))
            order["type"] = "drop"
        self._inbox.put(order)

    def _receive(self) -> bytes:
        try:
            return self._link.recv(_READ_BYTES)
        except ConnectionError:
            return b""

    def _interrupt(self, number: int) -> bool:
        """Whether something of it may be computed now. If not, nothing will be."""
        with self._picking:
            if (speech := self._speeches.get(number)) is None:
                if number > self._begun:
                    self._unwanted.add(number)
                return False
            speech.cancelled = True
            running = speech in self._batch
        return speech.stream.interrupt() and running

    # the computing thread ----------------------------------------------------------------

    def _waiting_orders(self) -> Iterable[dict[str, Any]]:
        if not any(speech.runnable for speech in self._speeches.values()):
            yield self._inbox.get()
        try:
            while True:
                yield self._inbox.get_nowait()
        except Empty:
            return

    def _step(self, batch: list[Speech]) -> None:
        start = time.perf_counter()
        try:
            outcomes = attempt(lambda: self._engine.step([speech.stream for speech in batch]))
        except Interrupted:
            return
        if isinstance(outcomes, CosydError):
            outcomes = [outcomes] * len(batch)
        spent_s = (time.perf_counter() - start) / len(batch)
        for speech, outcome in zip(batch, outcomes, strict=True):
            speech.synth_s += spent_s
            self._apply(speech, outcome)

    def _apply(self, speech: Speech, outcome: Chunk | CosydError | None) -> None:
        if isinstance(outcome, CosydError):
            self._fail(speech.number, outcome)
        elif outcome is None:
            self._pass_on(speech, attempt(speech.end))
        else:
            for part in parts(outcome, self._engine.sample_rate):
                if not self._pass_on(speech, attempt(partial(speech.take, part))):
                    return

    def _pass_on(self, speech: Speech, reports: list[bytes] | CosydError) -> bool:
        """Send what was made, as far as credit allows; False if it failed."""
        if isinstance(reports, CosydError):
            self._fail(speech.number, reports)
            return False
        self._send(*reports)
        self._deliver(speech)
        return True

    def _deliver(self, speech: Speech) -> None:
        self._send(*speech.sendable())
        if speech.finished:
            self._drop(speech.number)
            synth_ms = speech.synth_s * 1000
            self._send(
                pack(
                    "done",
                    stream=speech.number,
                    samples=speech.samples,
                    synth_ms=synth_ms,
                    **memory(),
                )
            )

    def _on_speak(self, order: dict[str, Any]) -> None:
        number = order["stream"]
        speech = attempt(lambda: self._open(order))
        with self._picking:
            self._begun = number
            if isinstance(speech, Speech):
                self._speeches[number] = speech
            unwanted = number in self._unwanted
            self._unwanted.discard(number)
        if isinstance(speech, CosydError):
            self._fail(number, speech)
        elif unwanted:
            self._drop(number)

    def _open(self, order: dict[str, Any]) -> Speech:
        voice = self._voices.get(Path(order["voice"]), order["prompt"])
        request = Request(
            voice=voice,
            language=order["language"],
            instruct=order["instruct"],
            speed=order["speed"],
            seed=order["seed"],
        )
        stream = self._engine.open(request)
        stream.write(order["text"], final=order["final"])
        gain = gain_for(voice.loudness_lufs, order["loudness"], order["volume"])
        audio = Format(order["sample_rate"], order["encoding"], gain)
        return Speech(order["stream"], stream, self._engine.sample_rate, audio, order)

    def _on_text(self, order: dict[str, Any]) -> None:
        if (speech := self._speeches.get(order["stream"])) is not None:
            speech.stream.write(order["text"], final=order["final"], flush=order["flush"])

    def _on_credit(self, order: dict[str, Any]) -> None:
        if (speech := self._speeches.get(order["stream"])) is not None:
            speech.grant(order["samples"])
            self._deliver(speech)

    def _on_drop(self, order: dict[str, Any]) -> None:
        self._drop(order["stream"])

    def _on_cancel(self, order: dict[str, Any]) -> None:
        self._drop(order["stream"])
        self._send(pack("halted", stream=order["stream"]))

    def _on_probe(self, _order: dict[str, Any]) -> None:
        self._send(pack("alive"))

    def _fail(self, number: int, error: CosydError) -> None:
        self._drop(number)
        self._send(pack("failed", stream=number, code=error.code, message=error.message))

    def _drop(self, number: int) -> None:
        if (speech := self._speeches.pop(number, None)) is not None:
            speech.stream.close()

    def _send(self, *reports: bytes) -> None:
        if not reports:
            return
        try:
            with self._sending:
                self._link.sendall(b"".join(reports))
        except ConnectionError:
            self._leave(0)
