"""One daemon for the whole folder, more where a test needs its own settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.conformance.plain_client import Peer
from tests.conformance.running import Running


@pytest.fixture(scope="session")
def daemon() -> Iterator[Running]:
    """The shared daemon; it must be the same process from the first test to the last."""
    running = Running()
    try:
        yield running.ready()
        assert running.process.poll() is None, "the daemon died"
    finally:
        running.kill()


@pytest.fixture
def connect(daemon: Running) -> Iterator[Callable[[], Peer]]:
    """Opens connections to the shared daemon; afterwards it must come to rest by itself."""
    with ExitStack() as stack:

        def opened() -> Peer:
            peer = Peer(daemon.path)
            stack.callback(peer.close)
            return peer

        yield opened
    assert daemon.process.poll() is None, "the daemon died"
    daemon.quiet()


@pytest.fixture
def peer(connect: Callable[[], Peer]) -> Peer:
    """One connection to the shared daemon."""
    return connect()


@pytest.fixture
def other(connect: Callable[[], Peer]) -> Peer:
    """A second connection."""
    return connect()


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    """Starts daemons of the test's own."""
    with ExitStack() as stack:

        def started(**env: str) -> Running:
            running = Running(env)
            stack.callback(running.kill)
            return running.ready()

        yield started
