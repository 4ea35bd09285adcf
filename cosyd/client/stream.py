"""One asyncio transport under the async client: an own `asyncio.Protocol` and who waits for it.

Everything runs on one event loop, so there are no locks. Reading stops while nobody waits and
an inbox is full: a slow listener's audio stays in the daemon.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from cosyd.client.autostart import ATTEMPTS, Dialler
from cosyd.errors import CosydError, Unreachable
from cosyd.wire.connection import ClientConnection


class _Link(asyncio.Protocol):
    """One connection; tells the stream what happens on it."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.gone = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self._stream.received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # whatever it was: the connection is gone
        self.gone.set()
        self._stream.hung_up()

    def pause_writing(self) -> None:
        self._stream.writable = False

    def resume_writing(self) -> None:
        self._stream.writable = True
        self._stream.stir()


class Stream:
    """The transport, and the news that waiting tasks wait for."""

    def __init__(self, core: ClientConnection, dial: Dialler, timeout: float) -> None:
        """`dial` gives a connected socket; `timeout` (s) bounds the first answer."""
        self.core = core
        self.writable = True
        """Whether the transport takes more to send."""
        self._dial = dial
        self._timeout = timeout
        self._deadline: float | None = None
        self._attempts = 0
        self._waiting = 0
        self._link: _Link | None = None
        self._transport: asyncio.Transport | None = None
        self._redial: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    async def open(self) -> None:
        """Connect. Raises `Unreachable` or `Forbidden`."""
        self._attempts += 1
        sock = await asyncio.to_thread(self._dial)  # it may start a daemon, and wait for it
        if self.core.lost is not None:  # closed meanwhile
            sock.close()
            return
        sock.setblocking(False)
        self.writable, self._deadline = True, None
        loop = asyncio.get_running_loop()
        self._transport, self._link = await loop.create_unix_connection(
            lambda: _Link(self), sock=sock
        )

    async def wait(self, ready: Callable[[], bool]) -> None:
        """Wait until `ready()` or the connection is lost."""
        self.flush()
        while not ready() and self.core.lost is None:
            self._waiting += 1
            self._read_on()
            try:
                async with asyncio.timeout_at(self._patience()):
                    await self._news.wait()
            except TimeoutError:
                self._lose(Unreachable(f"the daemon did not answer in {self._timeout:g} s"))
            finally:
                self._waiting -= 1

    async def drain(self) -> None:
        """Send what the core has to say; wait while the daemon is slow to read it."""
        self.flush()
        self.stir()  # what was just asked may have changed what others wait for
        await self.wait(lambda: self.writable)

    def flush(self) -> None:
        """Hand what the core has to say to the transport, if there is one right now."""
        if self._transport is not None and self.core.outgoing:
            data = bytes(self.core.outgoing)
            self.core.sent(len(data))
            self._transport.write(data)

    def stir(self) -> None:
        """Make all who wait look again."""
        self._news.set()
        self._news = asyncio.Event()

    def received(self, data: bytes) -> None:
        """Bytes came."""
        self.core.receive(data)
        if self._waiting:
            self.core.relieve()
        elif self.core.full and self._transport is not None:
            self._transport.pause_reading()
        self.flush()
        self.stir()

    def hung_up(self) -> None:
        """The connection is gone: say over a new one what may be repeated."""
        self._transport = None
        if self.core.answered:
            self._attempts = 0
        if self.core.lost is None and self.core.repeat():
            self._deadline = None
            self._redial = asyncio.ensure_future(self._open_again())
            self.stir()  # some may have been lost
            return
        self.core.receive(b"")
        self.writable = True
        self.stir()

    async def close(self) -> None:
        """Hang up; all who wait are told."""
        self._lose(Unreachable("this client is closed: connect again"))
        if self._redial is not None:
            await asyncio.wait([self._redial])
        if self._transport is not None:
            self._transport.abort()
        if self._link is not None:
            await self._link.gone.wait()

    async def _open_again(self) -> None:
        try:
            if self._attempts == ATTEMPTS:
                raise self._dial.hung_up()
            await self.open()
            self.flush()
        except CosydError as error:
            self._lose(error)

    def _lose(self, error: CosydError) -> None:
        self.core.lose(error)
        self.stir()

    def _read_on(self) -> None:
        self.core.relieve()
        self.flush()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _patience(self) -> float | None:
        """Until when (loop time) the daemon may say nothing at all; None once it has."""
        if self.core.answered:
            return None
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + self._timeout
        return self._deadline
