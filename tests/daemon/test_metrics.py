"""The metrics socket: everybody gets an answer and nobody keeps it busy."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop

from cosyd.daemon import metrics
from cosyd.daemon.statistics import Statistics

STATUS = {
    "version": "1",
    "uptime_s": 1.0,
    "connections": 0,
    "rss_bytes": 1,
    "models": [],
    **Statistics().snapshot(0, 0),
}
GET = b"GET /metrics HTTP/1.1\r\nHost: cosyd\r\n\r\n"


@pytest.fixture
def path() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="cosy", dir="/tmp")  # a socket's path must be short
    yield f"{folder}/m"
    shutil.rmtree(folder)


Body = Callable[[], Coroutine[Any, Any, None]]


def serving(path: str, body: Body, **how: Any) -> None:
    """Run `body` while the socket is served."""

    async def main() -> None:
        close = await metrics.serve(lambda: dict(STATUS), path, **how)
        try:
            await asyncio.wait_for(body(), 30)
        finally:
            close()

    uvloop.run(main())


async def ask(path: str, request: bytes = GET) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


def test_whoever_connects_gets_the_text(path: str) -> None:
    async def body() -> None:
        for request in (GET, b"", b"anything at all", b"x" * 100_000):
            head, _, text = (await ask(path, request)).partition(b"\r\n\r\n")
            lines = head.decode().split("\r\n")
            assert lines[0] == "HTTP/1.0 200 OK"
            assert f"Content-Length: {len(text)}" in lines
            assert "Content-Type: text/plain; version=0.0.4; charset=utf-8" in lines
            assert b"cosyd_connections 0\n" in text

    serving(path, body)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_understands_it(path: str) -> None:
    async def body() -> None:
        for _ in range(20):  # it sends its request before, while or after we answer
            curl = await asyncio.create_subprocess_exec(
                *("curl", "-sSf", "--unix-socket", path, "http://cosyd/metrics"),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, err = await curl.communicate()
            assert (curl.returncode, err) == (0, b"")
            assert b"cosyd_build_info" in out

    serving(path, body)


def test_only_its_user_may_connect_and_it_goes_at_the_end(path: str) -> None:
    async def body() -> None:
        assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600

    serving(path, body)
    assert not Path(path).exists()


def test_another_user_gets_nothing(path: str) -> None:
    async def body() -> None:
        with suppress(ConnectionError):  # hung up on while it sent its request
            assert await ask(path) == b""

    serving(path, body, uid_of=lambda _socket: os.getuid() + 1)


def test_too_many_are_hung_up_on_and_those_before_are_not(path: str) -> None:
    async def body() -> None:
        idle = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        for each in idle:
            each.connect(path)
        await asyncio.sleep(0)
        answers = []
        for each in idle:
            each.setblocking(False)
            answers.append(await asyncio.get_running_loop().sock_recv(each, 100_000))
        assert [bool(answer) for answer in answers] == [True, True, False]
        for each in idle:
            each.close()
        while not (answer := await _asked(path)):  # its end is noticed in a moment
            await asyncio.sleep(0.01)
        assert b"cosyd_build_info" in answer

    serving(path, body, limit=2)


async def _asked(path: str) -> bytes:
    try:
        return await ask(path, b"")
    except ConnectionError:
        return b""


def test_who_does_not_hang_up_is_hung_up_on(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "HANG_UP_S", 0.05)

    async def body() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX) as slow:
            slow.setblocking(False)
            await loop.sock_connect(slow, path)
            while await loop.sock_recv(slow, 100_000):
                pass
            with pytest.raises(BrokenPipeError):
                while True:
                    await loop.sock_sendall(slow, b"G")
                    await asyncio.sleep(0.01)

    serving(path, body)


def test_nothing_configured_nothing_served() -> None:
    async def body() -> None: ...

    serving("", body)


def test_a_place_that_is_taken_is_left_alone(path: str, caplog: pytest.LogCaptureFixture) -> None:
    Path(path).write_text("mine")

    async def body() -> None: ...

    serving(path, body)
    assert Path(path).read_text() == "mine"
    assert "no metrics socket" in caplog.text


def test_another_daemons_socket_at_the_same_place_stays(path: str) -> None:
    async def body() -> None:
        Path(path).unlink()
        Path(path).write_text("another's")

    serving(path, body)
    assert Path(path).exists()
