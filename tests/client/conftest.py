"""Both clients behind one blocking surface, so that one suite says how both behave."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import cosyd

Connect = Callable[..., cosyd.Client]


class _Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, awaitable: Any) -> Any:
        async def wait() -> Any:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(wait(), self._loop).result(60)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class Blocking:
    """An object of the async client whose awaitables are awaited for the caller."""

    def __init__(self, inner: Any, loop: _Loop) -> None:
        self._inner = inner
        self._loop = loop

    def _plain(self, value: Any) -> Any:
        if inspect.isawaitable(value):
            value = self._loop.run(value)
        if isinstance(value, cosyd.AsyncClient | cosyd.AsyncUtterance):
            return Blocking(value, self._loop)
        return value

    def __getattr__(self, name: str) -> Any:
        value = self._plain(getattr(self._inner, name))
        if not callable(value):
            return value
        return lambda *args, **kwargs: self._plain(value(*args, **kwargs))

    def __iter__(self) -> Iterator[Any]:
        frames = self._inner.__aiter__()
        while (frame := self._loop.run(_next(frames))) is not None:
            yield frame

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exc: object) -> None:
        self._plain(self._inner.close())


async def _next(frames: Any) -> bytes | None:
    return await anext(frames, None)


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """`cosyd.connect`, and `cosyd.aconnect` made to look like it."""
    if request.param == "sync":
        yield cosyd.connect
        return
    loop = _Loop()
    yield lambda *args, **kwargs: Blocking(loop.run(cosyd.aconnect(*args, **kwargs)), loop)  # type: ignore[misc] # it looks like a Client
    loop.close()


@pytest.fixture
def client(connect: Connect, shared_home: object) -> Iterator[cosyd.Client]:
    """A client of the module's daemon."""
    del shared_home
    with connect() as found:
        yield found
