"""Telling a service manager how we are: systemd's notification protocol. Never what is spoken."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, MutableMapping
from typing import Final, NamedTuple

from cosyd.daemon.clock import Clock, Timer
from cosyd.logs import event

_LOG: Final = logging.getLogger("cosyd.service")
STATUS_PAUSE_S: Final = 0.25
"""The status changes with every utterance; systemd need not hear of each."""
SEND_WAIT_S: Final = 0.2
"""A lost READY=1 would cost our life, a stuck manager must not cost more than this."""
SPARE_S: Final = 10.0
"""Added to what we ask for: our own limits come first, systemd's only when we hang."""


class Asked(NamedTuple):
    """What the service manager wants to hear."""

    address: str = ""
    """Where to send to, "": nobody listens. An abstract one begins with "@"."""
    watchdog_s: float = 0.0
    """How long we may be silent before we count as hung; 0: for ever."""


def asked(env: MutableMapping[str, str], pid: int) -> Asked:
    """What `env` asks of the process `pid`; taken out, so that no child answers in our name."""
    address = env.pop("NOTIFY_SOCKET", "")
    limit_us, meant = env.pop("WATCHDOG_USEC", ""), env.pop("WATCHDOG_PID", "")
    for_us = meant in ("", str(pid)) and limit_us.isdecimal()
    watchdog_s = int(limit_us) / 1e6 if for_us else 0.0
    return Asked(address if address[:1] in ("/", "@") else "", watchdog_s)


class Notifier:
    """Sends datagrams to the service manager; without one it says nothing."""

    def __init__(self, address: str) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket: socket.socket | None = None
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.settimeout(SEND_WAIT_S)

    def send(self, **fields: str | int) -> None:
        """One message with all `fields`. A manager that does not listen is not worth a failure."""
        if self._socket is None:
            return
        text = "\n".join(f"{name}={value}" for name, value in fields.items())
        try:
            self._socket.sendto(text.encode(), self._address)
        except OSError as error:
            event(_LOG, "not notified", level=logging.WARNING, why=error.strerror)


class Service:
    """What systemd knows of us: ready, status, watchdog, reload, end."""

    def __init__(self, told: Asked, clock: Clock) -> None:
        self._notifier = Notifier(told.address)
        self._heard = bool(told.address)
        self._period_s = told.watchdog_s / 2
        self._clock = clock
        self._activity: Callable[[], str] = lambda: ""
        self._loading: Callable[[], bool] = lambda: False
        self._load_timeout_s = 0.0
        self._status = ""
        self._was_loading = False
        self._status_timer: Timer | None = None

    def ready(
        self, activity: Callable[[], str], loading: Callable[[], bool], load_timeout_s: float
    ) -> None:
        """We accept connections. `activity` gives the status line, without any spoken text."""
        self._activity, self._loading = activity, loading
        self._load_timeout_s = load_timeout_s
        self._status = activity()
        self._notifier.send(READY=1, STATUS=self._status)
        if self._heard and self._period_s > 0:
            self._beat()

    def changed(self) -> None:
        """The activity may have changed."""
        if self._heard and self._status_timer is None:
            self._status_timer = self._clock.call_later(STATUS_PAUSE_S, self._tell)

    def reloading(self) -> None:
        """The settings are read anew; `reloaded` ends it."""
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._notifier.send(RELOADING=1, MONOTONIC_USEC=now_us)

    def reloaded(self, load_timeout_s: float) -> None:
        """The settings hold."""
        self._load_timeout_s = load_timeout_s
        self._notifier.send(READY=1, STATUS=self._status)

    def stopping(self, drain_s: float) -> None:
        """We end, within `drain_s` and a little."""
        self._notifier.send(
            STOPPING=1, STATUS="ending", EXTEND_TIMEOUT_USEC=_usec(drain_s + SPARE_S)
        )

    def _tell(self) -> None:
        self._status_timer = None
        loading, status = self._loading(), self._activity()
        if loading and not self._was_loading:
            self._notifier.send(EXTEND_TIMEOUT_USEC=_usec(self._load_timeout_s + SPARE_S))
        self._was_loading = loading
        if status != self._status:
            self._status = status
            self._notifier.send(STATUS=status)

    def _beat(self) -> None:
        """From the loop, so that a loop that stands still is noticed."""
        self._notifier.send(WATCHDOG=1)
        self._clock.call_later(self._period_s, self._beat)


def _usec(seconds: float) -> int:
    return int(seconds * 1e6)
