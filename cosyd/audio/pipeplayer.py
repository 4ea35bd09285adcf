"""Playing through another program that reads PCM from a pipe: paplay, pw-cat, aplay or ffplay.

The pipe is as small as the system makes them, so that little sound is on its way. Pausing stops
the program with SIGSTOP, which loses and repeats nothing: its device runs dry within the latency
it was started with. All waiting is one `poll` on the pipe, where room, and on the program's
stderr, whose end is the program's end.

afplay is left out: it plays files only, and on a Mac sounddevice brings its own PortAudio.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Sequence
from typing import IO, NamedTuple, Protocol

from cosyd.audio import wav
from cosyd.audio.device import PlayerFailed

PIPE_BYTES = 4096
"""21 to 43 ms of 48 kHz mono."""
STALL_S = 5.0
"""A program that reads nothing for so long has failed."""


class Format(NamedTuple):
    """What is played, and where."""

    sample_rate: int
    encoding: str
    channels: int
    latency_s: float
    device: str | None
    """A name that the program understands; None: the default."""


class Program(NamedTuple):
    """A player program."""

    name: str
    arguments: Callable[[Format], list[str]]
    reads_wav: bool
    """Whether it wants a WAV header before the PCM."""
    tail_s: float = 0.0
    """Silence it needs at the end, or it swallows the last of the sound."""


def _paplay(f: Format) -> list[str]:
    kind = {"s16le": "s16le", "f32le": "float32le"}[f.encoding]
    named = [f"--device={f.device}"] if f.device else []
    return [
        "--raw",
        f"--format={kind}",
        f"--rate={f.sample_rate}",
        f"--channels={f.channels}",
        f"--latency-msec={round(f.latency_s * 1000)}",
        "--client-name=cosyd",
        "--stream-name=speech",
        *named,
    ]


def _pw_cat(f: Format) -> list[str]:
    # "-" means raw samples to older versions and a container to newer; a path is always the latter.
    named = [f"--target={f.device}"] if f.device else []
    return ["--playback", f"--latency={round(f.latency_s * 1000)}ms", *named, "/dev/stdin"]


def _aplay(f: Format) -> list[str]:
    kind = {"s16le": "S16_LE", "f32le": "FLOAT_LE"}[f.encoding]
    named = ["-D", f.device] if f.device else []
    buffer = f"--buffer-time={round(f.latency_s * 1_000_000)}"
    raw = ["-q", "-t", "raw", "-f", kind, "-r", str(f.sample_rate), "-c", str(f.channels)]
    return [*raw, buffer, *named]


def _ffplay(f: Format) -> list[str]:
    if f.device:
        raise PlayerFailed("ffplay cannot choose a device; leave --device out")
    probe = ["-probesize", "32", "-analyzeduration", "0"]
    return ["-nodisp", "-autoexit", "-loglevel", "error", *probe, "-i", "-"]


PROGRAMS = (
    Program("paplay", _paplay, reads_wav=False),
    Program("pw-cat", _pw_cat, reads_wav=True, tail_s=0.1),
    Program("aplay", _aplay, reads_wav=False),
    Program("ffplay", _ffplay, reads_wav=True, tail_s=0.2),
)
"""In order of preference. ffplay is last: it reads ahead, and goes on when its device is gone."""


class Process(Protocol):
    """What is used of `subprocess.Popen`."""

    stdin: IO[bytes] | None
    stderr: IO[bytes] | None

    def send_signal(self, sig: int) -> None: ...
    def kill(self) -> None: ...
    def wait(self, timeout: float | None = None) -> int: ...


Spawn = Callable[[Sequence[str]], Process]


def spawn(argv: Sequence[str]) -> Process:
    """Start a program with small pipes.

    Its own process group keeps the terminal's Ctrl-C and Ctrl-Z from it. It stays in our session,
    though: should we be killed while it is stopped, the kernel ends it (an orphaned group).
    """
    return subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        bufsize=0,
        pipesize=PIPE_BYTES,
        process_group=0,
    )


class PipePlayer:
    """See `cosyd.audio.player.Player`. `write` and `drain` belong to one thread at a time.

    SIGPIPE must be ignored, as Python has it.
    """

    def __init__(
        self,
        program: Program,
        path: str,
        form: Format,
        *,
        lead_in_s: float = 0.0,
        spawn: Spawn = spawn,
        clock: Callable[[], float] = time.monotonic,
        stall_s: float = STALL_S,
    ) -> None:
        """Starts the program found at `path` at once: it takes its time."""
        self._program, self._format, self._spawn = program, form, spawn
        self._argv = [path, *program.arguments(form)]
        self._width = {"s16le": 2, "f32le": 4}[form.encoding] * form.channels
        self._ahead = self._header() + self._silence(lead_in_s)
        self._clock, self._stall_s = clock, stall_s
        self._turn = threading.Lock()  # starting, stopping and killing exclude each other
        self._process: Process | None = None
        self._paused = self._ended = False
        self._moved = clock()  # when the program last read something
        self._handed = 0  # bytes of speech written to the program that runs now
        self._finished = 0  # bytes of speech played by earlier ones
        self._said = b""  # the end of the program's stderr
        self._owed = b""  # what goes before the first sound
        self._start()

    # What a player is.

    @property
    def played_samples(self) -> int:
        latency_s = 0.0 if self._paused else self._format.latency_s  # paused, it runs dry
        on_its_way = round(latency_s * self._format.sample_rate) * self._width
        heard = max(0, self._handed - self._unread() - on_its_way)
        return (self._finished + heard) // self._width

    def write(self, pcm: bytes) -> None:
        if self._process is None:
            self._start()
        owed, self._owed = self._owed, b""
        self._put(owed, speech=False)
        self._put(pcm)

    def drain(self) -> None:
        if self._ended or self._process is None or self._owed:  # owed: nothing was written
            return
        self._put(self._silence(self._program.tail_s), speech=False)
        _stdin(self._process).close()
        while self._wait(writing=False):
            pass
        if not self._ended:
            status = self._reap()
            self._finished, self._handed = self._finished + self._handed, 0
            if status:
                raise self._failure(status)

    def pause(self) -> None:
        with self._turn:
            if not self._paused:
                self._paused = True
                self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        with self._turn:
            if self._paused:
                self._moved = self._clock()
                self._paused = False
                self._signal(signal.SIGCONT)

    def abort(self) -> None:
        with self._turn:
            self._ended = True
            if self._process is not None:
                self._process.kill()
                self._process.wait()

    def close(self) -> None:
        self.abort()
        if self._process is not None:
            self._reap()

    # Its parts.

    def _start(self) -> None:
        with self._turn:
            if self._ended:
                return
            try:
                self._process = process = self._spawn(self._argv)
            except OSError as error:
                raise PlayerFailed(f"cannot start {self._argv[0]}: {error.strerror}") from error
            os.set_blocking(_stdin(process).fileno(), False)
            self._said, self._owed, self._moved = b"", self._ahead, self._clock()
            if self._paused:
                self._signal(signal.SIGSTOP)

    def _header(self) -> bytes:
        f = self._format
        return wav.header(f.sample_rate, f.encoding) if self._program.reads_wav else b""

    def _silence(self, seconds: float) -> bytes:
        return bytes(round(seconds * self._format.sample_rate) * self._width)

    def _put(self, data: bytes, *, speech: bool = True) -> None:
        """Write all of it as the program reads it; returns early when aborted."""
        rest = memoryview(data)
        while rest and self._wait(writing=True):
            try:
                count = os.write(_stdin(self._process).fileno(), rest)
            except BlockingIOError:
                continue
            except BrokenPipeError:
                break
            rest = rest[count:]
            self._moved = self._clock()
            self._handed += count if speech else 0
        if rest and not self._ended:
            while self._wait(writing=False):
                pass
            raise self._failure(self._reap())

    def _wait(self, *, writing: bool) -> bool:
        """Wait for room in the pipe, or word on stderr. False: the program has ended."""
        if self._ended:
            return False
        poll = select.poll()
        errors = _stderr(self._process).fileno()
        poll.register(errors, select.POLLIN)
        if writing:
            poll.register(_stdin(self._process).fileno(), select.POLLOUT)
        ready = [fd for fd, _ in poll.poll(self._stall_s * 1000)]
        if errors in ready:
            said = os.read(errors, 4096)
            self._said = (self._said + said)[-4096:]
            return bool(said)
        if not ready and not self._paused and self._clock() - self._moved >= self._stall_s:
            self.abort()
            self._reap()
            raise PlayerFailed(f"{self._program.name} stopped taking sound")
        return True

    def _reap(self) -> int:
        """The exit status of a program that has ended, its pipes closed."""
        with self._turn:
            process, self._process = self._process, None
            assert process is not None
            for pipe in (_stdin(process), _stderr(process)):
                pipe.close()
            try:
                return process.wait(timeout=self._stall_s)
            except subprocess.TimeoutExpired:
                process.kill()
                return process.wait()

    def _failure(self, status: int) -> PlayerFailed:
        lines = self._said.decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"it ended with status {status}"
        return PlayerFailed(f"{self._program.name} failed: {reason}")

    def _signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _unread(self) -> int:
        """Bytes that lie in the pipe."""
        process = self._process
        if process is None:
            return 0
        count = bytearray(4)
        try:
            fcntl.ioctl(_stdin(process).fileno(), termios.FIONREAD, count)
        except (OSError, ValueError):  # ValueError: closed, to drain it
            return 0
        return int.from_bytes(count, sys.byteorder)


def _stdin(process: Process | None) -> IO[bytes]:
    assert process is not None
    assert process.stdin is not None
    return process.stdin


def _stderr(process: Process | None) -> IO[bytes]:
    assert process is not None
    assert process.stderr is not None
    return process.stderr
