"""The daemon's life: idle exit, shutdown, and the order in which things go."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from cosyd.config import Config, ConfigError
from cosyd.daemon.clock import Timer
from cosyd.daemon.core import Core
from cosyd.daemon.door import Door
from cosyd.daemon.server import Server
from cosyd.daemon.service import Service
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
        door: Door,
        service: Service,
        read_config: Callable[[], Config],
    ) -> None:
        self._core = core
        self._server = server
        self._door = door
        self._service = service
        self._read_config = read_config
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
        # A closed terminal is no reason to end: it costs a look at the configuration.
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        core = self._core
        self._service.ready(core.activity, self._loading, core.config.load_timeout_s)
        self._on_change()
        while True:
            await self._stop.wait()
            if not self._idle_out or self._really_idle():
                break
        await self._end()

    # settings ------------------------------------------------------------------------------

    def reload(self) -> None:
        """Take over changed settings; with ones that are wrong, go on as before."""
        self._service.reloading()
        try:
            self._core.reconfigure(self._read_config())
        except (ConfigError, OSError) as error:
            event(_LOG, "settings not reloaded", level=logging.ERROR, why=str(error))
        else:
            event(_LOG, "settings reloaded")
        self._service.reloaded(self._core.config.load_timeout_s)
        self._on_change()

    def _loading(self) -> bool:
        return any(model.state == "loading" for model in self._core.models.values())

    # idle ----------------------------------------------------------------------------------

    def _on_change(self) -> None:
        self._changed.set()
        self._service.changed()
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
        self._door.refuse(listener)
        self._take_waiting(listener)
        if not self._core.busy:
            listener.close()
            return True
        again = self._door.reopen(listener)
        if again is not None:
            self._server.listen(again)
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
        self._service.stopping(self._core.config.drain_timeout_s if self._drain else 0.0)
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
        # 5. Take the socket away, if it is ours, then let go of it; the lock goes with the process.
        self._door.remove()
        if listener is not None:
            listener.close()
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
