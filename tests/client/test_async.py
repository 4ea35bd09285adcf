"""What only the asyncio client has to promise: cancelling, and not reading when nobody listens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

import cosyd
from cosyd import errors
from cosyd.audio import player as players

LONG = "one two three four five six seven eight nine ten. " * 100
"""100 seconds of tones: 5,000 frames."""


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 30))


@pytest.fixture(autouse=True)
def _daemon(shared_home: object) -> None:
    del shared_home


def test_many_tasks_share_a_connection() -> None:
    async def listen(client: cosyd.AsyncClient, words: int) -> int:
        utterance = await client.say("word " * words + ".")
        frames = [frame async for frame in utterance]
        await client.ping()
        return len(frames)

    async def main() -> None:
        async with await cosyd.aconnect() as client:
            told = await asyncio.gather(*(listen(client, words) for words in range(1, 17)))
            assert told == [5 * words for words in range(1, 17)]

    run(main())


def test_nothing_is_read_while_nobody_waits_and_an_inbox_is_full() -> None:
    async def main() -> None:
        async with await cosyd.aconnect() as client:
            utterance = await client.say(LONG)
            stream = client._stream
            assert await utterance.started
            assert stream._transport is not None
            while stream._transport.is_reading():
                await asyncio.sleep(0.005)  # another process fills it; that is no event of ours
            held = len(utterance._inbox.frames)
            assert 500 <= held < 600
            await asyncio.sleep(0.05)
            assert len(utterance._inbox.frames) == held
            assert not utterance.paused
            assert await client.ping() >= 0  # whoever waits gets an answer all the same
            assert len([frame async for frame in utterance]) == 5000

    run(main())


def test_a_cancelled_wait_leaves_the_connection_usable() -> None:
    async def main() -> None:
        async with await cosyd.aconnect() as client:
            slow = await client.say("One.", instruct="slow_ms=60000")

            async def listen() -> None:
                async for _ in slow:
                    pass

            task = asyncio.ensure_future(listen())
            await client.ping()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await slow.stop()
            assert (await slow.result).kind == "stopped"
            assert (await (await client.say("One.")).result).kind == "finished"

    run(main())


class Blocked:
    """A loudspeaker that takes nothing until it is closed."""

    def __init__(self) -> None:
        self.written = threading.Event()
        self.closed = threading.Event()

    def write(self, pcm: bytes) -> None:
        assert pcm
        self.written.set()
        self.closed.wait(30)

    def close(self) -> None:
        self.closed.set()


def test_cancelling_play_falls_silent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loudspeaker = Blocked()
    monkeypatch.setattr(players, "open_player", lambda *_form: loudspeaker)

    async def main() -> None:
        async with await cosyd.aconnect() as client:
            utterance = await client.say(LONG, pace="realtime")
            task = asyncio.ensure_future(utterance.play())
            await asyncio.to_thread(loudspeaker.written.wait, 30)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert loudspeaker.closed.is_set()

    run(main())


def test_closing_while_it_connects_anew() -> None:
    async def main() -> None:
        client = await cosyd.aconnect()
        waiting = asyncio.ensure_future(client.ping())
        assert client._stream._transport is not None
        client._stream._transport.abort()
        while client._stream._redial is None:
            await asyncio.sleep(0)
        await client.close()
        with pytest.raises(errors.Unreachable):
            await waiting

    run(main())
