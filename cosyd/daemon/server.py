"""The listening socket: our own accept loop, so that no connection is lost when we end."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from cosyd.daemon.boundary import attempt
from cosyd.daemon.core import Core
from cosyd.daemon.management import refusal
from cosyd.daemon.session import Session
from cosyd.errors import CosydError, Forbidden
from cosyd.logs import event
from cosyd.rendezvous import peer_uid
from cosyd.wire.framing import encode
from cosyd.wire.messages import MAX_CONNECTIONS, MAX_SERVER_MESSAGE_BYTES

_LOG: Final = logging.getLogger("cosyd.server")
NO_DESCRIPTORS_PAUSE_S: Final = 0.1


class Server:
    """Accepts on one listening socket; every connection counts from `accept` on."""

    def __init__(
        self,
        core: Core,
        loop: asyncio.AbstractEventLoop,
        uid_of: Callable[[socket.socket], int] = peer_uid,
    ) -> None:
        self._core = core
        self._loop = loop
        self._uid_of = uid_of
        self._listener: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def listen(self, listener: socket.socket) -> None:
        """Accept on `listener` from now on."""
        listener.setblocking(False)
        self._listener = listener
        self._loop.add_reader(listener.fileno(), self.accept_waiting)

    def pause(self) -> socket.socket | None:
        """Accept no more; the listener stays as it is."""
        listener, self._listener = self._listener, None
        if listener is not None:
            self._loop.remove_reader(listener.fileno())
        return listener

    def accept_waiting(self) -> None:
        """Take every connection that waits."""
        while self._listener is not None:
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:
                self._on_accept_error(error)
                return
            self.serve(connection)

    def serve(self, connection: socket.socket) -> None:
        """Make a session of a connected socket, or refuse it."""
        connection.setblocking(False)
        error = attempt(lambda: self._admit(connection))
        if isinstance(error, CosydError):
            self._turn_away(connection, error)
            return
        session = Session(self._core, self._loop)
        self._core.connections.add(session)
        task = self._loop.create_task(self._connect(session, connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, session: Session, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: session, connection)
        except OSError as error:  # gone before it was served
            event(_LOG, "connection failed", level=logging.DEBUG, why=str(error))
            connection.close()
            session.connection_lost(error)

    def _admit(self, connection: socket.socket) -> None:
        if self._uid_of(connection) not in (0, os.getuid()):
            raise Forbidden("this daemon belongs to somebody else: start your own")
        self._core.refuse_if_full(MAX_CONNECTIONS)

    def _turn_away(self, connection: socket.socket, error: CosydError) -> None:
        self._core.statistics.errors[error.code] += 1
        with connection, suppress(OSError):
            connection.send(encode(refusal(error), MAX_SERVER_MESSAGE_BYTES))

    def _on_accept_error(self, error: OSError) -> None:
        """Out of descriptors: the loop would spin on a readable listener, so look away a while."""
        event(_LOG, "accept failed", level=logging.ERROR, why=str(error))
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            listener = self.pause()
            if listener is not None:
                self._loop.call_later(NO_DESCRIPTORS_PAUSE_S, self.listen, listener)
