"""The daemon's life: idle exit, shutdown, and the order in which things go."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from cosyd.daemon.clock import Timer
from cosyd.daemon.core import Core
from cosyd.daemon.server import Server
from cosyd.daemon.session import Session
from cosyd.logs import event
from cosyd.wire.states import SILENT

_LOG: Final = logging.getLogger("cosyd.daemon")
FLUSH_S: Final = 1.0
"""How long the last messages may take to leave."""


class Life:
    """Runs until idle, told to end, or signalled; then ends in order."""

    def __init__(
        self,
        core: Core,
        server: Server,
        path: str,
        listen_anew: Callable[[str], socket.socket],
    ) -> None:
        self._core = core
        self._server = server
        self._path = path
        self._listen_anew = listen_anew
        self._stop = asyncio.Event()
        self._changed = asyncio.Event()
        self._idle_timer: Timer | None = None
        self._idle_at: float | None = None
        self._drain = True
        self._idle_out = False
        core.on_change = self._on_change
        core.on_shutdown = self._on_shutdown
        core.idle_exit_in_s = self._idle_exit_in_s

    async def run(self) -> None:
        """Live, then die."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a closed terminal is no reason to end
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        self._on_change()
        while True:
            await self._stop.wait()
            if not self._idle_out or self._really_idle():
                break
        await self._end()

    # idle ----------------------------------------------------------------------------------

    def _on_change(self) -> None:
        self._changed.set()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = self._idle_at = None
        timeout = self._core.config.idle_timeout_s
        if timeout >= 0 and not self._core.busy:
            self._idle_at = self._core.clock.now() + timeout
            self._idle_timer = self._core.clock.call_later(timeout, self._on_idle)

    def _idle_exit_in_s(self) -> float | None:
        if self._core.busy or self._idle_at is None:
            return None
        return round(max(0.0, self._idle_at - self._core.clock.now()), 3)

    def _on_idle(self) -> None:
        self._idle_out = True
        self._stop.set()

    def _really_idle(self) -> bool:
        """Close the door, take who already stood in it, and open again if somebody did."""
        self._stop.clear()
        self._idle_out = False
        if self._core.busy:
            return False
        listener = self._server.pause()
        if listener is None:
            return True
        with suppress(OSError):  # macOS: ENOTCONN; there a client that is reset tries again
            listener.shutdown(socket.SHUT_RD)  # connects are refused from now on
        self._take_waiting(listener)
        if not self._core.busy:
            listener.close()
            return True
        listener.close()
        self._server.listen(self._listen_anew(self._path))
        return False

    def _take_waiting(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # EAGAIN, or EINVAL after the shutdown: nobody is left
                return
            self._server.serve(connection)

    # shutdown ------------------------------------------------------------------------------

    def _on_signal(self) -> None:
        self._on_shutdown(not self._core.draining)  # the second time: at once

    def _on_shutdown(self, drain: bool) -> None:
        self._drain = drain
        self._core.draining = True
        self._idle_out = False
        self._stop.set()
        self._changed.set()

    async def _end(self) -> None:
        """The steps of the end, in order."""
        event(_LOG, "ending", drain=self._drain)
        # 1. Take no new utterance; who connects is still told so.
        self._core.draining = True
        # 2. Let what is being said go on, for a bounded time, then take no new connection.
        await self._drained()
        listener = self._server.pause()
        # 3. End what is left, and every worker.
        for utterance in list(self._core.utterances()):
            utterance.stop()
        for model in self._core.models.values():
            model.end()
        # 4. Say goodbye to whoever asked for the end, and hang up on everybody.
        for farewell in self._core.farewells:
            farewell()
        await self._hang_up()
        # 5. Take the socket away, then let go of it; the lock goes with the process.
        if listener is not None:
            with suppress(FileNotFoundError):
                os.unlink(self._path)  # noqa: PTH108 - a path as bytes on the wire, not a Path
            listener.close()
        elif self._path:
            with suppress(FileNotFoundError):
                os.unlink(self._path)  # noqa: PTH108 - as above
        event(_LOG, "ended")

    async def _drained(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._core.config.drain_timeout_s
        while self._drain and any(u.state not in SILENT for u in self._core.utterances()):
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), end - loop.time())
            except TimeoutError:
                return

    async def _hang_up(self) -> None:
        sessions = [each for each in self._core.connections if isinstance(each, Session)]
        for session in sessions:
            session.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._until_alone(), FLUSH_S)

    async def _until_alone(self) -> None:
        while self._core.connections:
            self._changed.clear()
            await self._changed.wait()
