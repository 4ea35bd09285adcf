"""Playing through PortAudio (sounddevice), the usual way.

PortAudio's blocking write can hang with a dead device and must not run beside an abort in another
thread. So this player only ever writes what fits into the device's buffer and waits between
writes on a condition, with the time that the device needs to make room as the timeout: a pause
or an abort from any thread comes through at once, and a device that stops is noticed.
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from cosyd.audio.device import Device, NoSound, PlayerFailed

TAIL_S = 0.02
"""Silence played after the device's buffer has been pushed through, for what lies behind it."""
STALL_S = 3.0
"""A device that takes no sound for so long has failed."""

CLOSE_S = 1.0
"""A device that is not closed by then is left alone; it takes 1 ms."""

T = TypeVar("T")

_DTYPES = {"s16le": "int16", "f32le": "float32"}
_WIDTHS = {"s16le": 2, "f32le": 4}
_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 0.001, 0.01


class Stream(Protocol):
    """What is used of `sounddevice.RawOutputStream`."""

    @property
    def write_available(self) -> int: ...
    def start(self) -> None: ...
    def write(self, data: bytes) -> object: ...
    def abort(self) -> None: ...
    def close(self) -> None: ...


class PortAudioPlayer:
    """See `cosyd.audio.player.Player`. `write` and `drain` belong to one thread at a time."""

    def __init__(
        self,
        open_stream: Callable[[], Stream],
        sample_rate: int,
        sample_bytes: int,
        *,
        lead_in_s: float = 0.0,
        errors: tuple[type[Exception], ...] = (),
        abandon: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        close_s: float = CLOSE_S,
    ) -> None:
        """Opens the stream at once, so that a bad device is told at once.

        `sample_bytes`: bytes of one sample of all channels. `errors`: what the stream raises.
        `abandon` is called when a stream does not close within `close_s`.
        """
        self._abandon, self._close_s = abandon, close_s
        self._open_stream, self._errors, self._clock = open_stream, errors, clock
        self._rate, self._width = sample_rate, sample_bytes
        self._lead_in = bytes(round(lead_in_s * sample_rate) * sample_bytes)
        self._turn = threading.Condition()
        self._stream: Stream | None = None
        self._started = self._paused = self._ended = False
        self._capacity = 0  # samples that fit into the device's buffer
        self._pending = bytearray()  # to be played, not yet in the buffer
        self._recent = bytearray()  # what may still lie in the buffer, unheard
        self._handed = 0  # samples of speech put into the buffer
        self._tail = self._tail_wanted = 0  # samples of silence put after them
        self._moved = clock()  # when the device last took something
        self._guarded(self._open)

    # What a player is.

    @property
    def played_samples(self) -> int:
        with self._turn:
            return self._handed - self._guarded(self._unheard)

    def write(self, pcm: bytes) -> None:
        with self._turn:
            if not self._ended:
                self._pending += pcm
                self._play()

    def drain(self) -> None:
        with self._turn:
            if self._ended or not (self._started or self._pending):
                return
            self._tail_wanted = self._capacity + round(TAIL_S * self._rate)
            self._play()
            self._tail_wanted = 0
            self._guarded(self._halt)

    def pause(self) -> None:
        with self._turn:
            if self._paused or self._ended:
                return
            unheard = self._guarded(self._unheard) * self._width
            self._guarded(self._halt)
            self._pending[:0] = self._recent[len(self._recent) - unheard :]
            self._handed -= unheard // self._width
            self._recent.clear()
            self._paused = True

    def resume(self) -> None:
        with self._turn:
            if not self._paused or self._ended:
                return
            self._paused = False
            self._moved = self._clock()
            if self._pending:
                self._guarded(self._pump)
            self._turn.notify_all()

    def abort(self) -> None:
        with self._turn:
            self._end()
            self._turn.notify_all()

    close = abort

    # The rest runs with the turn held.

    def _play(self) -> None:
        """Returns when all that is pending, and the tail wanted, is in the device's buffer."""
        self._moved = self._clock()
        while not self._ended and (self._paused or not self._all_handed()):
            if self._paused:
                self._turn.wait()
                continue
            if self._guarded(self._pump):
                self._moved = self._clock()
            elif self._clock() - self._moved > STALL_S:
                self._end()
                raise PlayerFailed("the sound device stopped taking sound; is it still there?")
            if not self._all_handed():
                self._turn.wait(self._until_room())

    def _all_handed(self) -> bool:
        return not self._pending and self._tail >= self._tail_wanted

    def _until_room(self) -> float:
        needed = len(self._pending) // self._width + self._tail_wanted - self._tail
        return min(max(needed / self._rate, _SHORTEST_WAIT_S), _LONGEST_WAIT_S)

    def _pump(self) -> bool:
        """Fill the device's buffer as far as possible; whether it took anything."""
        stream = self._running()
        room = stream.write_available
        if room <= 0:
            return False
        piece = bytes(self._pending[: room * self._width])
        if piece:
            stream.write(piece)
            del self._pending[: len(piece)]
            self._keep(piece)
            return True
        silence = min(room, self._tail_wanted - self._tail)
        stream.write(bytes(silence * self._width))
        self._tail += silence
        return True

    def _keep(self, piece: bytes) -> None:
        self._handed += len(piece) // self._width
        self._recent += piece
        del self._recent[: max(0, len(self._recent) - self._capacity * self._width)]

    def _unheard(self) -> int:
        """Samples of speech that lie in the device's buffer."""
        if self._stream is None or not self._started:
            return 0
        queued = self._capacity - self._stream.write_available - self._tail
        return min(max(queued, 0), len(self._recent) // self._width)

    def _running(self) -> Stream:
        stream = self._stream or self._open()
        if not self._started:
            stream.start()
            self._started = True
            self._capacity = stream.write_available
            stream.write(self._lead_in[: self._capacity * self._width])
        return stream

    def _open(self) -> Stream:
        self._stream = self._open_stream()
        return self._stream

    def _halt(self) -> None:
        """Let go of the device; what lies in its buffer is dropped."""
        stream, self._stream = self._stream, None
        self._started, self._tail = False, 0
        if stream is None:
            return
        # With a sound server that hangs, closing hangs too; nothing can be done but leave it.
        closing = threading.Thread(target=self._shut, args=(stream,), daemon=True)
        closing.start()
        closing.join(self._close_s)
        if closing.is_alive():
            self._abandon()

    def _shut(self, stream: Stream) -> None:
        with suppress(*self._errors):  # a device that is gone is silent already
            stream.abort()
            stream.close()

    def _end(self) -> None:
        self._ended = True
        self._pending.clear()
        self._halt()

    def _guarded(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except self._errors as error:
            self._end()
            raise PlayerFailed(f"the sound device failed: {error}") from error


def load() -> Any:
    """The sounddevice module. Importing it starts PortAudio and freezes its list of devices.

    Raises:
        NoSound: the library is not installed, or there is no output device.
    """
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: no libportaudio
        raise NoSound("PortAudio is not installed") from error
    _hush_alsa()
    try:
        sounddevice.query_devices(kind="output")
    except (sounddevice.PortAudioError, ValueError) as error:
        raise NoSound("there is no sound device") from error
    return sounddevice


def devices(sd: Any) -> list[Device]:
    """The output devices."""
    default = sd.query_devices(kind="output")["index"]
    return [
        Device(info["index"], info["name"], info["index"] == default)
        for info in sd.query_devices()
        if info["max_output_channels"] > 0
    ]


def open_portaudio(
    sd: Any,
    device: Device | None,
    sample_rate: int,
    encoding: str,
    channels: int,
    latency_s: float,
    lead_in_s: float,
) -> PortAudioPlayer:
    """A player on `device`, None for the default. `PlayerFailed` if it cannot be opened."""

    def open_stream() -> Stream:
        stream: Stream = sd.RawOutputStream(
            samplerate=sample_rate,
            channels=channels,
            dtype=_DTYPES[encoding],
            device=None if device is None else device.number,
            latency=latency_s,
        )
        return stream

    return PortAudioPlayer(
        open_stream,
        sample_rate,
        _WIDTHS[encoding] * channels,
        lead_in_s=lead_in_s,
        errors=(sd.PortAudioError,),
        # Ending PortAudio would wait for the stream as well: leave it to the process's end.
        abandon=lambda: atexit.unregister(sd._exit_handler),
    )


_quiet: Any = None  # ALSA keeps a pointer to it


def _hush_alsa() -> None:
    """Stop libasound from printing to stderr, as it does when a buffer runs dry."""
    global _quiet
    import ctypes  # sounddevice has imported it already

    if _quiet is not None or not sys.platform.startswith("linux"):
        return
    try:
        alsa = ctypes.CDLL("libasound.so.2")
    except OSError:
        return  # a PortAudio without ALSA
    kind = ctypes.CFUNCTYPE(
        None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p
    )
    _quiet = kind(lambda *_: None)
    alsa.snd_lib_error_set_handler(_quiet)
