"""One file over HTTP into a partial file, going on where the connection broke."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

_PIECE_BYTES: Final = 1 << 18
_TIMEOUT_S: Final = 15.0
_LONGEST_WAIT_S: Final = 30.0
_TRY_AGAIN: Final = frozenset({408, 416, 425, 429, 500, 502, 503, 504})


class Failed(Exception):
    """This server does not give the file; the text says why."""


class _Broke(Exception):
    """The connection broke or the server is busy: worth another attempt."""


@dataclass(frozen=True, slots=True)
class Ways:
    """How a download tells, waits and writes."""

    tell: Callable[[int], None]
    """Gets the bytes that are there, after every piece."""
    attempts: int
    """How often in a row it may fail without a byte."""
    wait: Callable[[float], object]
    """Waits seconds."""
    append: Callable[[Path], IO[bytes]]
    """Opens the partial file."""


def download(url: str, partial: Path, size: int, ways: Ways) -> None:
    """Make `partial` `size` bytes long with what is at `url`.

    Args:
        url: http or https.
        partial: what was fetched before, if anything; stays when this fails.
        size: bytes of the whole file; more than that is never written.

    Raises:
        Failed: the server has no such file or another one, or broke off too often.
        OSError: the partial file cannot be written.
    """
    failures = 0
    while (have := _size(partial, size)) < size:
        try:
            _request(url, partial, have, size, ways)
        except _Broke as broke:
            failures = 1 if _size(partial, size) > have else failures + 1
            if failures >= ways.attempts:
                raise Failed(str(broke)) from broke
            ways.wait(min(2.0 ** (failures - 1), _LONGEST_WAIT_S))


def _size(partial: Path, size: int) -> int:
    """Bytes of the partial file; one that is too long is of another file, and goes."""
    if not partial.exists():
        return 0
    have = partial.stat().st_size
    if have > size:
        partial.unlink()
        return 0
    return have


def _request(url: str, partial: Path, have: int, size: int, ways: Ways) -> None:
    headers = {"User-Agent": "cosyd", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response = urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_S
        )
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # the part is not of the file that is there now
            partial.unlink(missing_ok=True)
        if error.code in _TRY_AGAIN:
            raise _Broke(f"HTTP {error.code}") from error
        raise Failed(f"HTTP {error.code}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Broke(_reason(error)) from error
    with response:
        start = _start(response, have, size)
        if start < have:
            partial.unlink()
        _receive(response, partial, start, size, ways)


def _start(response: http.client.HTTPResponse, have: int, size: int) -> int:
    """Where in the file the body begins: where asked, or at 0 if the server cannot do that."""
    length = response.headers.get("Content-Length")
    start = 0
    if response.status == 206:
        start = have
        if not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise Failed("another part of the file than asked for")
    if length is not None and length.isdecimal() and int(length) != size - start:
        raise Failed(f"{start + int(length)} bytes, not {size}")
    return start


def _receive(
    response: http.client.HTTPResponse, partial: Path, have: int, size: int, ways: Ways
) -> None:
    with ways.append(partial) as file:
        while have < size:
            try:
                piece = response.read1(min(_PIECE_BYTES, size - have))
            except (OSError, http.client.HTTPException) as error:
                raise _Broke(_reason(error)) from error
            if not piece:
                raise _Broke("the connection broke")
            file.write(piece)
            have += len(piece)
            ways.tell(have)


def _reason(error: Exception) -> str:
    """One line for a person: the system's own words where there are any."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return "no answer"
    text = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    return " ".join(text.split()) or type(error).__name__
