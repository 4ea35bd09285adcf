"""The daemon's handle on one worker process: orders out, reports in, and its end."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, Protocol

from cosyd.errors import Protocol as BrokenProtocol
from cosyd.link.orders import check_report, decoder, pack
from cosyd.logs import event
from cosyd.wire.fields import FieldError

_LOG: Final = logging.getLogger("cosyd.link")


class Process(Protocol):
    """A child process."""

    pid: int

    def kill(self) -> None:
        """SIGKILL it."""

    async def wait(self) -> int:
        """Its exit status, once it ended."""


Spawn = Callable[[list[str], socket.socket], Coroutine[Any, Any, Process]]
"""(arguments after the interpreter, the child's end of the link) → the running process."""


async def spawn_python(arguments: list[str], link: socket.socket) -> Process:
    """Start this interpreter; the child finds the link under the same descriptor number."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # a directory called cosyd where the user happens to be is not our code
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        pass_fds=(link.fileno(),),
        start_new_session=True,  # a terminal's Ctrl-C is not meant for it
    )


class Listener(Protocol):
    """Who hears what a worker says."""

    def on_report(self, report: dict[str, Any]) -> None:
        """A checked report."""

    def on_gone(self) -> None:
        """The process has ended; nothing more will come."""


class Handle(Protocol):
    """What the daemon may do with a worker."""

    @property
    def pid(self) -> int | None:
        """The process's id, once there is one."""

    def order(self, kind: str, **fields: Any) -> None:
        """Send one order."""

    def close(self) -> None:
        """Hang up: the worker ends itself."""

    def kill(self) -> None:
        """End it at once."""


class Host(asyncio.Protocol):
    """One worker. `run` it, `order` it, `close` or `kill` it; it tells its listener the rest."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._incoming = decoder()
        self._transport: asyncio.WriteTransport | None = None
        self._process: Process | None = None
        self._killed = False
        self._hung_up = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The process's id, once there is one."""
        return self._process.pid if self._process else None

    async def run(self, spawn: Spawn, arguments: list[str]) -> None:
        """Start the process and stay until it has ended."""
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        try:
            with theirs:
                link = ["--link-fd", str(theirs.fileno())]
                self._process = await spawn([*arguments, *link], theirs)
            transport, _ = await loop.create_unix_connection(lambda: self, sock=ours)
            self._transport = transport
            if self._killed:
                self.kill()
            status = await self._process.wait()
            await self._hung_up.wait()  # its last words are read before it counts as gone
            event(_LOG, "worker ended", pid=self.pid, status=status)
        except OSError as error:
            event(_LOG, "worker did not start", level=logging.ERROR, why=str(error))
            ours.close()
        finally:
            self.close()
            self._listener.on_gone()

    def order(self, kind: str, **fields: Any) -> None:
        """Send one order; to a worker that is gone it is lost, as `on_gone` tells."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(pack(kind, **fields))

    def close(self) -> None:
        """Hang up: the worker ends itself."""
        if self._transport is not None:
            self._transport.close()

    def kill(self) -> None:
        """End it at once, whatever it does."""
        self._killed = True
        if self._process is not None:
            with suppress(ProcessLookupError):  # it has ended by itself; `run` will say so
                self._process.kill()

    # asyncio.Protocol --------------------------------------------------------------------

    def connection_lost(self, _error: Exception | None) -> None:
        """The worker's end is closed and everything it sent has been read."""
        self._hung_up.set()

    def data_received(self, data: bytes) -> None:
        """Pass on whole reports. A worker that talks nonsense is killed."""
        self._incoming.feed(data)
        try:
            while (message := self._incoming.next_message()) is not None:
                self._listener.on_report({"type": message["type"], **check_report(message)})
        except (BrokenProtocol, FieldError, KeyError) as error:
            event(_LOG, "worker broke the link", level=logging.ERROR, why=type(error).__name__)
            self.kill()
