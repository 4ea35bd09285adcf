"""Where the words of `cosy say` come from: its arguments, a file, or a stream that goes on.

What is known as a whole (arguments, a regular file) is read at once; a pipe or a terminal is a
stream, spoken as it arrives.
"""

from __future__ import annotations

import codecs
import os
import select
import stat
import sys
from collections.abc import Iterator
from typing import Final, NamedTuple

from cosyd.cli.failure import Failure, Usage, note
from cosyd.cli.options import Values, printable

_BLOCK_BYTES: Final = 16384
_PAUSE_S: Final = 0.15
"""Who sends nothing for so long after a line's end has ended the sentence, too: a line of a log
is to be heard when it is written, a file that comes through a pipe is to be read as prose."""


class Whole(NamedTuple):
    """All the text there will be."""

    text: str


class Stream(NamedTuple):
    """Text that arrives bit by bit."""

    fd: int
    name: str
    """What to call it in a message."""


class Piece(NamedTuple):
    """One bit of a stream."""

    text: str
    flush: bool
    """Whether to speak it now, whole sentence or not."""


def open_source(values: Values) -> Whole | Stream:
    """The source that the command line asks for.

    Raises:
        Usage: there is nothing to say, or more than one thing.
        Failure, OSError: the file cannot be read, or is no text.
    """
    words, file = list(values["words"]), values["file"]
    if words == ["-"]:
        words, file = [], "-"
    if words and file:
        raise Usage("both TEXT and --file: give one of them, see `cosy say --help`")
    if words:
        return _from_words(" ".join(words))
    if file is None and sys.stdin is not None and sys.stdin.isatty():
        raise Usage('nothing to say: type `cosy say "Hello"`, or pipe some text in')
    return _from_file(file or "-")


def _from_words(text: str) -> Whole:
    clean = printable(text)
    if clean != text:
        _note_replaced("the text")
    return _speakable(Whole(clean), "the text")


def _from_file(file: str) -> Whole | Stream:
    name = "standard input" if file == "-" else printable(file)
    if file == "-" and sys.stdin is None:
        raise Usage('nothing to say, standard input is closed: type `cosy say "Hello"`')
    fd = 0 if file == "-" else _open(file, name)
    mode = os.fstat(fd).st_mode
    if stat.S_ISDIR(mode):
        raise Failure(f"{name} is a directory: give a text file")
    if not stat.S_ISREG(mode):
        return Stream(fd, name)
    decoder = TextDecoder(name)
    with open(fd, "rb", closefd=fd != 0) as binary:
        text = decoder.decode(binary.read(), final=True)
    return _speakable(Whole(text), name)


def _open(file: str, name: str) -> int:
    try:
        return os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Failure(f"cannot read {name}: {error.strerror}; give a text file") from error


def _speakable(whole: Whole, name: str) -> Whole:
    if not whole.text.strip():
        raise Usage(f'nothing to say, {name} is empty: type `cosy say "Hello"`')
    return whole


class TextDecoder:
    """Bytes to text, UTF-8; notes once what it had to replace, refuses what is no text."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("replace").decode
        self._noted = False

    def decode(self, data: bytes, final: bool = False) -> str:
        """The next characters. Raises `Failure` if this is no text."""
        if b"\0" in data:
            raise Failure(f"{self._name} is not text: give a plain text file in UTF-8")
        text = self._decode(data, final)
        if "\ufffd" in text and b"\xef\xbf\xbd" not in data and not self._noted:
            self._noted = True
            _note_replaced(self._name)
        return text


def _note_replaced(name: str) -> None:
    note(f"{name} is not all UTF-8: what is not was replaced")


def pieces(stream: Stream) -> Iterator[Piece]:
    """The stream's text as it arrives, until its end. Never an empty piece without a flush.

    Raises:
        Failure: what comes is no text.
    """
    decoder = TextDecoder(stream.name)
    line_ended = False
    while True:
        if line_ended and not _has_more(stream.fd):
            yield Piece("", flush=True)
        data = os.read(stream.fd, _BLOCK_BYTES)
        text = decoder.decode(data, final=not data)
        if text:
            yield Piece(text, flush=False)
        if not data:
            return
        line_ended = text.endswith("\n")


def _has_more(fd: int) -> bool:
    """Whether bytes, or the end, come within the pause that ends a sentence."""
    return bool(select.select([fd], [], [], _PAUSE_S)[0])
