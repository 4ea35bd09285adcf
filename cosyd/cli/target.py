"""Where the sound of `cosy say` goes: a file, a pipe, or a loudspeaker.

A target is opened before the request is sent if that costs nothing and may fail (a file), and
after it if it costs time (a sound device, which opens while the daemon computes).
"""

from __future__ import annotations

import fcntl
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Final, Literal, Protocol

from cosyd.audio.wav import OutputFile, WavWriter, WriteFailed, open_output
from cosyd.cli.failure import Failure, Usage
from cosyd.cli.options import Values

_OTHER_FORMATS: Final = frozenset({"mp3", "ogg", "oga", "opus", "flac", "m4a", "aac", "aiff"})
_PIPE_BYTES: Final = 4096
"""43 ms of 48 kHz s16le: a player at the pipe's other end goes on only so long after a stop."""
_F_SETPIPE_SZ: Final = getattr(fcntl, "F_SETPIPE_SZ", None)
DEFAULT_RATE: Final = 48000
"""Hz, if the command line names none."""
SAMPLE_BYTES: Final = 2
"""Of s16le, the one encoding that `cosy say` asks for."""


class Target(Protocol):
    """Takes one utterance's sound."""

    pace: Literal["none", "realtime"]
    """How fast the daemon is to send."""

    def prepare(self, sample_rate: int) -> None:
        """The request is sent; open what takes time."""

    def write(self, pcm: bytes) -> None:
        """Take one frame; may wait."""

    def heard(self) -> int:
        """Samples that have come out so far."""

    def finish(self, samples: int) -> None:
        """The utterance is whole, `samples` long; wait until all of it came out."""

    def abort(self) -> None:
        """Fall silent now."""


class FileTarget:
    """A WAV file, or bare samples, without the padding of the last frame."""

    pace: Literal["none", "realtime"] = "none"

    def __init__(self, file: OutputFile, raw: bool) -> None:
        self._file = file
        self._raw = raw
        self._wav: WavWriter | None = None
        self._rate = 0
        self._held = b""
        """The latest frame: it may turn out to be the last one, padded."""
        self._written = 0

    def prepare(self, sample_rate: int) -> None:
        """Nothing to open."""
        self._rate = sample_rate

    def write(self, pcm: bytes) -> None:
        """Write the frame before this one. The header waits for the first sound."""
        if self._wav is None and not self._raw:
            self._wav = WavWriter(self._file, self._rate, seekable=self._file.seekable)
        self._put(self._held)
        self._held = pcm

    def heard(self) -> int:
        """All that was written."""
        return self._written

    def finish(self, samples: int) -> None:
        """Write the last frame up to the true end, and the sizes."""
        self._put(self._held[: max(0, samples - self._written) * SAMPLE_BYTES])
        if self._wav is not None:
            self._wav.close()

    def abort(self) -> None:
        """Nothing sounds; the file is dropped by whoever opened it."""

    def _put(self, pcm: bytes) -> None:
        if pcm:
            (self._wav or self._file).write(pcm)
            self._written += len(pcm) // SAMPLE_BYTES


@contextmanager
def open_target(values: Values) -> Iterator[Target]:
    """The target that the command line asks for; a file stays only if the block ends well.

    Raises:
        Usage: options that exclude each other, or a format that is not WAV.
        Failure: the file cannot be written.
    """
    _check(values)
    try:
        if values["output"] is not None:
            with _open_file(values["output"], values["raw"]) as target:
                yield target
        elif values["or_output"] is not None:
            with _open_either(values) as target:
                yield target
        else:
            from cosyd.cli.speaker import Speaker

            yield Speaker(values["device"])
    except WriteFailed as error:
        raise Failure(f"{error}; give another place with -o") from error


def _check(values: Values) -> None:
    if values["output"] is not None and (values["device"] or values["or_output"]):
        raise Usage("-o and a loudspeaker exclude each other: see `cosy say --help`")
    if values["raw"] and values["output"] is None:
        raise Usage("--raw needs -o FILE: see `cosy say --help`")
    if values["output"] == "-" and sys.stdout is None:
        raise Usage("-o - but standard output is closed: give a file, -o out.wav")
    if values["output"] == "-" and sys.stdout.isatty():
        raise Usage("-o - would fill the terminal: pipe it, `cosy say -o - … | aplay`")
    for path in (values["output"], values["or_output"]):
        kind = str(path).rpartition(".")[2].lower()
        if kind in _OTHER_FORMATS:
            raise Usage(
                f"cosy writes WAV, not {kind}: name it .wav, or pipe it, "
                f"`cosy say -o - … | ffmpeg -i - out.{kind}`"
            )


@contextmanager
def _open_file(path: str, raw: bool) -> Iterator[Target]:
    with open_output("/dev/stdout" if path == "-" else path) as file:
        if path == "-":
            _shrink_pipe(1)
        yield FileTarget(file, raw)


def _shrink_pipe(fd: int) -> None:
    """Let a pipe hold little, so that a stop is heard soon; only Linux can."""
    if _F_SETPIPE_SZ is not None and stat.S_ISFIFO(os.fstat(fd).st_mode):
        with suppress(OSError):  # more than that is in it already
            fcntl.fcntl(fd, _F_SETPIPE_SZ, _PIPE_BYTES)


@contextmanager
def _open_either(values: Values) -> Iterator[Target]:
    """A loudspeaker if it works; else a file, whose path goes to stdout when it is whole."""
    from cosyd.cli.either import Either
    from cosyd.cli.speaker import Speaker

    path = values["or_output"]
    opened: list[Target] = []
    with ExitStack() as files:

        def open_file() -> Target:
            opened.append(files.enter_context(_open_file(path, raw=False)))
            return opened[0]

        speaker = Speaker(values["device"])
        yield Either(speaker, open_file, values["sample_rate"] or DEFAULT_RATE)
    if opened:
        print(path)
