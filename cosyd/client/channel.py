"""One blocking socket for all threads of a program.

Whoever waits first leads: it polls the socket for all and hands out what arrives; the others
wait for news. So the socket is read only while somebody waits, and a slow listener's audio
stays in the daemon. All access to the core happens under the one lock.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from select import POLLIN, POLLOUT, poll
from threading import Condition, Lock
from time import monotonic
from typing import Final

from cosyd.client.autostart import ATTEMPTS, Dialler
from cosyd.errors import CosydError, Unreachable
from cosyd.wire.connection import ClientConnection
from cosyd.wire.inbox import Inbox

READ_BYTES: Final = 64 * 1024


class Channel:
    """The socket, the lock around the core, and who reads. `with channel as core:` to speak."""

    def __init__(self, core: ClientConnection, dial: Dialler, timeout: float) -> None:
        """`dial` gives a connected socket; `timeout` (s) bounds the first answer."""
        self.core = core
        self._dial = dial
        self._timeout = timeout
        self._attempts = 0
        self._news = Condition(Lock())
        self._leading = False
        self._closed = False
        self._open()
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._woken.setblocking(False)

    def __enter__(self) -> ClientConnection:
        self._news.acquire()
        return self.core

    def __exit__(self, *exc: object) -> None:
        try:
            self._flush()
            self._stir()
            self._wait(lambda: not self.core.outgoing)
        finally:
            self._news.release()

    def wait(self, ready: Callable[[], bool]) -> None:
        """Wait until `ready()` or the connection is lost."""
        with self._news:
            self._wait(ready)

    def take(self, inbox: Inbox, or_pause: bool = False) -> bytes | None:
        """The next frame of `inbox`, waiting for it; None at its end. Raises what `failed` said.

        Reads what has arrived first: a pause or a stop may be behind frames that we have.
        `or_pause`: do not wait while it is paused, give b"" instead.
        """
        with self._news:
            while not self._leading and len(inbox.frames) < inbox.limit // 2 and self._read():
                pass
            self._wait(lambda: inbox.ready or (or_pause and inbox.paused))
            frame = self.core.take(inbox) if inbox.ready else b""
            self._flush()
            return frame

    def close(self) -> None:
        """Hang up; all who wait are told."""
        with self._news:
            if self._closed:
                return
            self._closed = True
            self.core.lose(Unreachable("this client is closed: connect again"))
            self._stir()
            if not self._leading:
                self._hang_up()

    def _stir(self) -> None:
        """Make all who wait look again: what they wait for may have come another way."""
        self._news.notify_all()
        if self._leading:
            with suppress(BlockingIOError):  # full of wakes: it will
                self._wake.send(b"w")

    def _open(self) -> None:
        self._attempts += 1
        self._socket = self._dial()
        self._socket.setblocking(False)
        self._deadline: float | None = None

    def _hang_up(self) -> None:
        for each in (self._socket, self._wake, self._woken):
            each.close()

    def _wait(self, ready: Callable[[], bool]) -> None:
        while not ready() and self.core.lost is None:
            if self._leading:
                self._news.wait()
            else:
                self._lead()

    def _lead(self) -> None:
        poller = poll()
        poller.register(self._woken, POLLIN)
        poller.register(self._socket, POLLIN | (POLLOUT if self.core.outgoing else 0))
        patience = self._patience_ms()
        self._leading = True
        self._news.release()
        try:
            events = poller.poll(patience)
        finally:
            self._news.acquire()
            self._leading = False
            self._news.notify_all()
            if self._closed:
                self._hang_up()
        self._after(bool(events))

    def _patience_ms(self) -> float | None:
        """How long to wait for the daemon to say anything at all; None once it has."""
        if self.core.answered:
            return None
        if self._deadline is None:
            self._deadline = monotonic() + self._timeout
        return max(0.0, self._deadline - monotonic()) * 1000

    def _after(self, happened: bool) -> None:
        if self.core.lost is not None:
            return
        if not happened:
            self.core.lose(Unreachable(f"the daemon did not answer in {self._timeout:g} s"))
            return
        with suppress(BlockingIOError):
            self._woken.recv(64)
        self._flush()
        self._read()

    def _flush(self) -> None:
        """Send what the socket takes. A broken connection shows when it is read."""
        while self.core.outgoing:
            try:
                size = self._socket.send(self.core.outgoing)
            except BlockingIOError:
                return
            except OSError:
                size = len(self.core.outgoing)
            self.core.sent(size)

    def _read(self) -> bool:
        """Read once, without waiting; whether anything came."""
        if self.core.lost is not None:
            return False
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data and self._again():
            return True
        self.core.receive(data)
        self.core.relieve()
        self._flush()
        return True

    def _again(self) -> bool:
        """Say over a new connection what may be repeated; whether there is any such thing."""
        if self.core.answered:
            self._attempts = 0
        if not self.core.repeat():
            return False
        self._socket.close()
        try:
            if self._attempts == ATTEMPTS:
                raise self._dial.hung_up()
            self._open()
        except CosydError as error:
            self.core.lose(error)
        self._flush()
        return True
