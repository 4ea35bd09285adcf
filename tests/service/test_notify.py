"""What systemd is told, on a socket of the tests' own and a fake clock."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd.daemon.service import STATUS_PAUSE_S, Asked, Notifier, Service, asked
from tests.daemon.fakes import FakeClock


class Systemd:
    """The manager's end."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self.socket.setblocking(False)

    def heard(self) -> list[dict[str, str]]:
        """All messages since the last time."""
        found: list[dict[str, str]] = []
        while True:
            try:
                lines = self.socket.recv(65_536).decode().splitlines()
            except BlockingIOError:
                return found
            found.append(dict(line.split("=", 1) for line in lines))


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    abstract = f"@cosyd-test-{os.getpid()}-{time.monotonic_ns()}"
    found = Systemd(abstract if request.param == "abstract" else str(tmp_path / "n"))
    yield found
    found.socket.close()


class Doing:
    """What the daemon is at."""

    status = "idle"
    loading = False


def service(systemd: Systemd, doing: Doing, watchdog_s: float = 0.0) -> tuple[Service, FakeClock]:
    clock = FakeClock()
    found = Service(Asked(systemd.address, watchdog_s), clock)
    found.ready(lambda: doing.status, lambda: doing.loading, 600.0)
    return found, clock


def test_ready_with_the_first_status(systemd: Systemd) -> None:
    service(systemd, Doing())
    assert systemd.heard() == [{"READY": "1", "STATUS": "idle"}]


def test_the_status_is_told_when_it_changes_and_not_with_every_step(systemd: Systemd) -> None:
    doing = Doing()
    found, clock = service(systemd, doing)
    systemd.heard()
    for step in range(100):
        doing.status = f"speaking {step}"
        found.changed()
    assert systemd.heard() == []
    clock.pass_s(STATUS_PAUSE_S)
    assert systemd.heard() == [{"STATUS": "speaking 99"}]
    found.changed()
    clock.pass_s(STATUS_PAUSE_S)
    assert systemd.heard() == []


def test_a_load_asks_for_time_once(systemd: Systemd) -> None:
    doing = Doing()
    found, clock = service(systemd, doing)
    systemd.heard()
    doing.loading, doing.status = True, "loading tone"
    for _ in range(3):
        found.changed()
        clock.pass_s(STATUS_PAUSE_S)
    assert systemd.heard() == [{"EXTEND_TIMEOUT_USEC": "610000000"}, {"STATUS": "loading tone"}]


def test_the_watchdog_hears_twice_in_its_time(systemd: Systemd) -> None:
    _, clock = service(systemd, Doing(), watchdog_s=2.0)
    systemd.heard()
    for _ in range(10):
        clock.pass_s(1.0)
        assert systemd.heard() == [{"WATCHDOG": "1"}]


def test_without_a_watchdog_nothing_beats(systemd: Systemd) -> None:
    _, clock = service(systemd, Doing())
    systemd.heard()
    clock.pass_s(1000.0)
    assert systemd.heard() == []


def test_reloading_and_stopping(systemd: Systemd) -> None:
    found, _ = service(systemd, Doing())
    systemd.heard()
    found.reloading()
    found.reloaded(600.0)
    found.stopping(30.0)
    reloading, ready, stopping = systemd.heard()
    assert reloading["RELOADING"] == "1"
    now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert 0 <= now_us - int(reloading["MONOTONIC_USEC"]) < 60_000_000
    assert ready == {"READY": "1", "STATUS": "idle"}
    assert stopping == {
        "STOPPING": "1",
        "STATUS": "ending",
        "EXTEND_TIMEOUT_USEC": "40000000",
    }


def test_a_manager_that_is_gone_does_no_harm(tmp_path: Path) -> None:
    Notifier(str(tmp_path / "nobody")).send(READY=1)
    Notifier("").send(READY=1)


@given(
    st.dictionaries(
        st.sampled_from(["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]),
        st.one_of(st.text(max_size=9), st.sampled_from(["@a", "/run/x", "7", "8", "2000000"])),
    )
)
def test_whatever_the_environment_says(env: dict[str, str]) -> None:
    before = dict(env)
    told = asked(env, 7)
    assert env == {}  # no child speaks in our name
    assert told.watchdog_s >= 0
    if before.get("WATCHDOG_PID") == "8":
        assert told.watchdog_s == 0
    assert told.address in ("", before.get("NOTIFY_SOCKET"))
    assert told.address[:1] in ("", "/", "@")


def test_a_watchdog_for_us() -> None:
    env = {"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "7"}
    assert asked(env, 7) == Asked("/n", 3.0)
