"""Writing mono WAV, to a file or a pipe, and files that appear only when they are whole.

Standard library only, and fast to import: a command that speaks into a pipe pays for it.
"""

from __future__ import annotations

# pathlib takes 9 ms to import, as long as all of Python's own start:
# ruff: noqa: PTH100, PTH105, PTH108, PTH116, PTH118, PTH120
import errno
import os
import stat
import struct

TYPE_CHECKING = False  # typing takes 5 ms
if TYPE_CHECKING:
    from typing import Protocol

    class Sink(Protocol):
        """What a `WavWriter` writes to: any binary file, `OutputFile` included."""

        def write(self, data: bytes, /) -> object: ...
        def seek(self, offset: int, /) -> object: ...
        def tell(self) -> int: ...
        def flush(self) -> object: ...


STREAMING_RIFF_BYTES = 0x7FFFF024
"""RIFF size of a stream of unknown length: what players take for "until it ends"."""
STREAMING_DATA_BYTES = 0x7FFFF000
"""Its data size, about 6 hours of 48 kHz s16le."""

_MAX_U32 = 0xFFFFFFFF
_FORMATS = {"s16le": (1, 2), "f32le": (3, 4)}  # WAVE format tag, bytes per sample


class WriteFailed(Exception):
    """A file could not be written; the message names it and says why, in one line."""


class WavWriter:
    """Writes a WAV as the sound comes. The header is written at once.

    On a seekable file `close` puts the true sizes into the header; on a pipe they stay
    `STREAMING_RIFF_BYTES` and `STREAMING_DATA_BYTES`.
    """

    def __init__(
        self, file: Sink, sample_rate: int, encoding: str = "s16le", seekable: bool = False
    ) -> None:
        """`file` stays the caller's: `close` flushes it and leaves it open, at its end.

        Raises ValueError for an encoding other than "s16le" and "f32le".
        """
        if encoding not in _FORMATS:
            raise ValueError(f"encoding must be one of {', '.join(_FORMATS)}, not {encoding!r}")
        self._file, self._seekable = file, seekable
        self._rate, self._encoding = sample_rate, encoding
        self._start = file.tell() if seekable else 0
        self._closed = False
        self.data_bytes = 0
        """PCM bytes written so far."""
        file.write(header(sample_rate, encoding))

    def write(self, pcm: bytes) -> None:
        """Append whole samples (ValueError for a part of one)."""
        if len(pcm) % _FORMATS[self._encoding][1]:
            raise ValueError(f"{len(pcm)} bytes are no whole number of {self._encoding} samples")
        self._file.write(pcm)
        self.data_bytes += len(pcm)

    def close(self) -> None:
        """Finish the WAV. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._seekable:
            self._file.seek(self._start)
            self._file.write(whole := header(self._rate, self._encoding, self.data_bytes))
            self._file.seek(self._start + len(whole) + self.data_bytes)
        self._file.flush()


def header(sample_rate: int, encoding: str, data_bytes: int | None = None) -> bytes:
    """A mono WAV's header: 44 bytes for s16le; 58 for f32le, which needs a `fact` chunk.

    `data_bytes` None: a stream of unknown length. Over 4 GiB, the largest size there is.
    """
    tag, width = _FORMATS[encoding]
    fmt = struct.pack("<HHIIHH", tag, 1, sample_rate, sample_rate * width, width, 8 * width)
    data = STREAMING_DATA_BYTES if data_bytes is None else data_bytes
    chunks = _chunk(b"fmt ", fmt)
    if tag != 1:
        chunks = _chunk(b"fmt ", fmt + b"\0\0") + _chunk(b"fact", _u32(data // width))
    riff = len(b"WAVE") + len(chunks) + 8 + data
    return b"RIFF" + _u32(riff) + b"WAVE" + chunks + b"data" + _u32(data)


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + _u32(len(body)) + body


def _u32(value: int) -> bytes:
    return struct.pack("<I", min(value, _MAX_U32))


class OutputFile:
    """An open file or pipe, unbuffered; every failure but a broken pipe is a `WriteFailed`.

    As a context manager it keeps what was written when the block ends well, else discards it.
    """

    def __init__(self, fd: int, name: str, temporary: str = "", target: str = "") -> None:
        """Takes over `fd`. `name` is what messages call it.

        With a `temporary`, the path that `fd` was opened at, `close` renames it to `target`.
        """
        self._fd, self._name = fd, name
        self._temporary, self._target = temporary, target
        self.seekable = bool(temporary)
        """Whether it is a regular file of our own, so that a header can be patched."""

    def write(self, data: bytes, /) -> int:
        """Write all of it, waiting for a pipe's reader if need be.

        Raises:
            WriteFailed: the disk is full, or the like.
            BrokenPipeError: the reader of the pipe is gone.
        """
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:  # a pipe that somebody else made non-blocking
                _wait_writable(self._fd)
            except BrokenPipeError:
                raise
            except OSError as error:
                raise _failed(self._name, error) from error
        return len(data)

    def seek(self, offset: int, /) -> int:
        return os.lseek(self._fd, offset, os.SEEK_SET)

    def tell(self) -> int:
        return os.lseek(self._fd, 0, os.SEEK_CUR)

    def flush(self) -> None:
        """Nothing to do: nothing is held."""

    def close(self) -> None:
        """Keep what was written: the file takes its place now. A second call does nothing.

        Raises:
            WriteFailed: some disks tell only now that they are full. Nothing was replaced.
        """
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        try:
            os.close(fd)
            if self._temporary:
                os.replace(self._temporary, self._target)
        except OSError as error:
            self._remove()
            raise _failed(self._name, error) from error

    def discard(self) -> None:
        """Drop what was written, as far as it is not in a pipe already."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
            self._remove()

    def _remove(self) -> None:
        if self._temporary:
            os.unlink(self._temporary)

    def __enter__(self) -> OutputFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()


def open_output(path: str | os.PathLike[str]) -> OutputFile:
    """Open `path` for writing: `with open_output(path) as file: ...`.

    A regular file is written under a temporary name beside its target and takes its place when
    the block ends well; when it ends with any exception, the temporary is removed and what was
    there before is untouched. Symbolic links are followed, an old file's mode is kept. FIFOs,
    devices and /dev/stdout, /dev/stderr, /dev/fd/N are written straight; opening a FIFO waits
    for its reader.

    Raises:
        WriteFailed: it cannot be opened; one line that names the path.
    """
    name = os.fspath(path)
    try:
        fd = _inherited(name)
        if fd is not None:
            return OutputFile(os.dup(fd), name)
        mode = _mode(name)
        if mode is None or stat.S_ISREG(mode):
            return _beside(name, os.path.realpath(name), mode)
        return OutputFile(os.open(name, os.O_WRONLY), name)
    except OSError as error:
        raise _failed(name, error) from error


def _mode(name: str) -> int | None:
    """The mode of what is there already, None for nothing; OSError if it is not for us."""
    try:
        mode = os.stat(name).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, "")
    if not os.access(name, os.W_OK):  # renaming over it would get around its owner's wish
        raise OSError(errno.EACCES, "")
    return mode


def _inherited(name: str) -> int | None:
    """The descriptor that a path such as /dev/stdout stands for.

    Opening the path anew would fail for a socket, and would truncate and write from the start
    of a file that the shell opened.
    """
    path = os.path.abspath(name)
    known = {"/dev/stdout": 1, "/dev/stderr": 2}.get(path)
    folder, _, number = path.rpartition("/")
    if folder in ("/dev/fd", "/proc/self/fd") and number.isdecimal():
        return int(number)
    return known


def _beside(name: str, target: str, mode: int | None) -> OutputFile:
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f".cosyd-{os.getpid()}-{os.urandom(4).hex()}.part")
    fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    if mode is not None:
        os.fchmod(fd, stat.S_IMODE(mode))
    return OutputFile(fd, name, temporary, target)


_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your disk quota is used up",
    errno.EACCES: "you may not write there",
    errno.EPERM: "you may not write there",
    errno.EROFS: "the disk is read-only",
    errno.EISDIR: "it is a folder; name a file in it",
    errno.ENOENT: "its folder does not exist",
    errno.ENOTDIR: "a part of its path is no folder",
    errno.ENAMETOOLONG: "its name is too long",
}


def _failed(name: str, error: OSError) -> WriteFailed:
    reason = _REASONS.get(error.errno or 0) or os.strerror(error.errno or 0)
    return WriteFailed(f"cannot write {name}: {reason}")


def _wait_writable(fd: int) -> None:
    import select  # rarely needed

    select.select([], [fd], [])
