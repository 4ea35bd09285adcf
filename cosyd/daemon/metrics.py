"""The metrics socket: whoever connects gets one HTTP answer with Prometheus text.

Nothing that is sent to it is looked at, so there is nothing to send wrongly or slowly: the answer
goes out at once, and what does not hang up in time is hung up on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

from cosyd.errors import CosydError
from cosyd.logs import event
from cosyd.prometheus import CONTENT_TYPE, render
from cosyd.rendezvous import check_socket, listen_at, peer_uid, prepare_directory

_LOG: Final = logging.getLogger("cosyd.metrics")
MAX_SCRAPES: Final = 8
"""Connections at a time; one more is closed at once."""
HANG_UP_S: Final = 2.0
"""How long a client may take to read the answer."""

Close = Callable[[], None]


async def serve(
    status: Callable[[], dict[str, Any]],
    path: str,
    *,
    limit: int = MAX_SCRAPES,
    uid_of: Callable[[socket.socket], int] = peer_uid,
) -> Close:
    """Listen at `path` (0600) until the returned function is called; "" listens nowhere.

    `status` gives the fields of a `status` answer. A place that cannot be listened at is logged
    and done without: a daemon that speaks is better than none.
    """
    if not path:
        return lambda: None
    try:
        check_socket(path)
        prepare_directory(path)
        listener = listen_at(path)
    except (CosydError, OSError) as error:
        event(_LOG, "no metrics socket", level=logging.ERROR, path=path, why=str(error))
        return lambda: None
    ours = Path(path).stat()
    open_now: set[_Scrape] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(
        lambda: _Scrape(status, open_now, limit, uid_of, loop), sock=listener
    )
    event(_LOG, "metrics", path=path)

    def close() -> None:
        with suppress(OSError):  # removed already
            if os.path.samestat(Path(path).stat(), ours):  # else another daemon's by now
                Path(path).unlink()
        server.close()
        for scrape in list(open_now):
            scrape.hang_up()

    return close


class _Scrape(asyncio.Protocol):
    """One connection: answer, then wait for the end."""

    def __init__(
        self,
        status: Callable[[], dict[str, Any]],
        open_now: set[_Scrape],
        limit: int,
        uid_of: Callable[[socket.socket], int],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._status = status
        self._open = open_now
        self._limit = limit
        self._uid_of = uid_of
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answer at once. Closing waits: the client may still be sending its request."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        allowed = self._uid_of(transport.get_extra_info("socket")) in (0, os.getuid())
        if not allowed or len(self._open) >= self._limit:
            self._transport.abort()
            return
        self._open.add(self)
        self._transport.write(response(render(self._status())))
        self._transport.write_eof()
        self._timer = self._loop.call_later(HANG_UP_S, self.hang_up)

    def data_received(self, data: bytes) -> None:
        """Whatever it asks, it has its answer."""
        del data

    def connection_lost(self, _error: Exception | None) -> None:
        """It has hung up."""
        self._open.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def hang_up(self) -> None:
        """End the connection now."""
        if self._transport is not None:
            self._transport.abort()


def response(text: str) -> bytes:
    """An HTTP answer that ends the connection."""
    body = text.encode()
    head = f"HTTP/1.0 200 OK\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
