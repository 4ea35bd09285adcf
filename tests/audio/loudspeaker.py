"""A device that is played by the test, and a sounddevice module that has some."""

from __future__ import annotations

import threading
from types import SimpleNamespace

WIDTH = 2
CAPACITY = 100  # samples in the device's buffer


class DeviceError(Exception):
    """What the device raises."""


class Loudspeaker:
    """Where every stream of one player ends: what was heard, and what happened."""

    def __init__(self, step: int = 40) -> None:
        self.step = step
        """Samples that it plays each time it is asked for room: the only time there is."""
        self.heard = bytearray()
        self.log: list[str] = []
        self.fail: str = ""
        self.hang: threading.Event | None = None

    def open(self) -> FakeStream:
        self.note("open")
        return FakeStream(self)

    def note(self, call: str) -> None:
        self.log.append(call)
        if self.fail == call:
            raise DeviceError("unplugged")

    @property
    def speech(self) -> bytes:
        """What was heard without silence; the tests' speech holds no zero sample."""
        samples = [bytes(self.heard[i : i + 2]) for i in range(0, len(self.heard), 2)]
        return b"".join(sample for sample in samples if sample != b"\0\0")


class FakeStream:
    def __init__(self, speaker: Loudspeaker) -> None:
        self.speaker = speaker
        self.buffer = bytearray()
        self.started = False

    @property
    def write_available(self) -> int:
        self.speaker.note("room")
        played = self.speaker.step * WIDTH
        self.speaker.heard += self.buffer[:played]
        del self.buffer[:played]
        return CAPACITY - len(self.buffer) // WIDTH

    def start(self) -> None:
        self.speaker.note("start")
        self.started = True

    def write(self, data: bytes) -> None:
        self.speaker.note("write")
        assert self.started
        self.buffer += data
        assert len(self.buffer) <= CAPACITY * WIDTH, "this would have blocked"

    def abort(self) -> None:
        self.speaker.note("abort")
        self.buffer.clear()

    def close(self) -> None:
        if self.speaker.hang is not None:
            self.speaker.hang.wait(30)
        self.speaker.note("close")


class Sounddevice(SimpleNamespace):
    """A module with two output devices and a microphone."""

    PortAudioError = DeviceError

    def __init__(self) -> None:
        super().__init__(opened=[])

    def query_devices(self, kind: str | None = None) -> object:
        rows = [("mic", 0), ("speakers", 2), ("headset", 1)]
        infos = [
            {"index": i, "name": name, "max_output_channels": channels}
            for i, (name, channels) in enumerate(rows)
        ]
        return infos[2] if kind == "output" else infos

    def RawOutputStream(self, **options: object) -> FakeStream:
        self.opened.append(options)
        return FakeStream(Loudspeaker())
