"""The asyncio client: `await cosyd.aconnect()`. The same surface as `cosyd.client.sync`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from cosyd.client.autostart import dialler
from cosyd.client.heard import Heard
from cosyd.client.result import Result, Server, Started, result_of, server_of, started_of
from cosyd.client.stream import Stream
from cosyd.wire.connection import ClientConnection
from cosyd.wire.inbox import Inbox

if TYPE_CHECKING:
    import os
    from typing import Self, Unpack

    from cosyd.audio.player import Player
    from cosyd.client.options import Say


async def aconnect(
    path: str | None = None,
    autostart: bool = True,
    timeout: float = 15.0,
    client: str = "python",
) -> AsyncClient:
    """Connect to the daemon, starting it if none runs; as `cosyd.connect`.

    >>> async with await cosyd.aconnect() as client:
    ...     utterance = await client.say("Hello there.")
    ...     frames = [frame async for frame in utterance]
    ...     result = await utterance.result
    >>> result.kind
    'finished'

    Raises:
        Unreachable: no daemon answers and none could be started.
        Forbidden: the socket or its directory belongs to somebody else.
    """
    core = ClientConnection(client)
    stream = Stream(core, dialler(path, autostart, timeout), timeout)
    await stream.open()
    return AsyncClient(stream)


class AsyncClient:
    """One connection. Use it as an async context manager, or `close` it: that stops it all."""

    def __init__(self, stream: Stream) -> None:
        """Use `aconnect`."""
        self._stream = stream
        self._core = stream.core
        self._players: set[Player] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up: what this client still says stops, and whoever waits gets `Unreachable`."""
        await self._stream.close()

    @property
    async def hello(self) -> Server:
        """The daemon's greeting."""
        await self._stream.wait(lambda: self._core.hello.done)
        return server_of(self._core.hello.result())

    async def say(
        self, text: str = "", *, final: bool = True, **fields: Unpack[Say]
    ) -> AsyncUtterance:
        """Begin to speak, as `Client.say`; returns when the text is on its way."""
        inbox = self._core.say(text, final=final, **fields)
        await self._stream.drain()
        return AsyncUtterance(self, self._stream, inbox)

    async def voices(self) -> list[dict[str, Any]]:
        """All voices: name, model, engine, languages, sample_rate, capabilities, installed …"""
        voices: list[dict[str, Any]] = (await self._call("voices"))["voices"]
        return voices

    async def status(self) -> dict[str, Any]:
        """What the daemon is doing: models, utterances, connections, counters, memory."""
        return await self._call("status")

    async def ping(self) -> float:
        """Round trip to the daemon and back, in ms."""
        clock = asyncio.get_running_loop().time
        begun = clock()
        await self._call("ping")
        return (clock() - begun) * 1000

    async def load(self, voice: str | None = None, model: str | None = None) -> dict[str, Any]:
        """Load a model, named itself or by a voice; returns {model, load_ms} when it is warm."""
        return await self._call("load", voice=voice, model=model)

    async def unload(self, model: str | None = None) -> list[str]:
        """Unload a model, or all idle ones; returns their names. Raises `Busy` while it speaks."""
        models: list[str] = (await self._call("unload", model=model))["models"]
        return models

    async def add_voice(
        self,
        name: str,
        audio: bytes,
        text: str = "",
        language: str | None = None,
        replace: bool = False,
    ) -> dict[str, Any]:
        """Clone a voice from the bytes of a sound file (1 to 30 s) and its transcript.

        The name "voice/prompt" gives a cloned voice another recording, to be said with by it.

        Raises:
            BadAudio, VoiceExists, Unsupported: as their names say.
        """
        fields = {"audio": audio, "text": text, "language": language, "replace": replace}
        entry: dict[str, Any] = (await self._call("add_voice", name=name, **fields))["voice"]
        return entry

    async def remove_voice(self, name: str) -> None:
        """Remove a cloned voice. Raises `VoiceNotFound`, or `Forbidden` for an installed one."""
        await self._call("remove_voice", name=name)

    async def shutdown(self, drain: bool = True) -> None:
        """End the daemon; `drain`: after what is being said."""
        await self._call("shutdown", drain=drain)

    async def pause(self, scope: str | None = None) -> None:
        """Pause all utterances of this connection; scope="user": of the whole daemon."""
        await self._everything("pause", scope)

    async def resume(self, scope: str | None = None) -> None:
        """Resume all utterances of this connection; scope="user": of the whole daemon."""
        await self._everything("resume", scope)

    async def stop(self, scope: str | None = None) -> None:
        """Stop all utterances of this connection; scope="user": of the whole daemon."""
        await self._everything("stop", scope)

    async def _everything(self, kind: str, scope: str | None) -> None:
        self._core.everything(kind, scope=scope)
        if kind == "stop":
            for player in tuple(self._players):
                player.abort()
        await self._call("ping")  # nothing answers the other; after this the daemon has done it

    async def _call(self, kind: str, **fields: Any) -> dict[str, Any]:
        call = self._core.call(kind, **fields)
        await self._stream.wait(lambda: call.done)
        return call.result()


class AsyncUtterance(Heard):
    """One thing being said. Iterate it for its audio, or `play` or `save` it."""

    def __init__(self, client: AsyncClient, stream: Stream, inbox: Inbox) -> None:
        """Use `AsyncClient.say`."""
        self._client = client
        self._stream = stream
        self._core = stream.core
        super().__init__(inbox)
        self._player: Player | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Frames as they come (20 ms each by default), all of one size, the last one padded.

        While paused none come. Ends after `stop` at once. Raises what went wrong.
        """
        self._inbox.listened = True
        try:
            while (frame := await self._take()) is not None:
                yield frame
        finally:
            self._inbox.listened = False

    async def _take(self, or_pause: bool = False) -> bytes | None:
        """The next frame, None at the end; b"" if it is paused and not to be waited for."""
        inbox = self._inbox
        await self._stream.wait(lambda: inbox.ready or (or_pause and inbox.paused))
        frame = self._core.take(inbox) if inbox.ready else b""
        self._stream.flush()
        return frame

    async def write(self, text: str, flush: bool = False) -> None:
        """More text, after `say(..., final=False)`; `flush`: speak it though no sentence ends.

        Raises:
            BadRequest: the text has ended already.
        """
        self._core.text(self._inbox, text, flush=flush)
        await self._stream.drain()

    async def end(self, text: str = "") -> None:
        """The last of the text. Raises `BadRequest` if it was sent already."""
        self._core.text(self._inbox, text, final=True)
        await self._stream.drain()

    async def pause(self) -> None:
        """Fall silent until `resume`; the offset is kept."""
        self._core.pause(self._inbox)
        await self._stream.drain()

    async def resume(self) -> None:
        """Go on where it was paused, by whomever."""
        self._core.resume(self._inbox)
        await self._stream.drain()

    async def stop(self) -> None:
        """Fall silent for good; the connection is ready for the next `say`."""
        self._core.stop(self._inbox)
        if self._player is not None:
            self._player.abort()
        await self._stream.drain()

    @property
    async def started(self) -> Started | None:
        """How it is spoken; waits for its turn. None if it was stopped before.

        Raises:
            CosydError: it failed before it began.
        """
        inbox = self._inbox
        await self._stream.wait(lambda: inbox.started is not None or inbox.ended)
        return started_of(inbox)

    @property
    async def result(self) -> Result:
        """How it ended; waits for that. Audio that nobody has taken is kept, up to 30 minutes.

        Raises:
            CosydError: it failed.
            RuntimeError: so much audio waits to be taken that the end cannot come.
        """
        self._core.collect(self._inbox)
        await self._stream.wait(lambda: self._inbox.ended or self._inbox.stuck)
        return result_of(self._inbox)

    async def play(self, device: str | None = None) -> Result:
        """Play it on a loudspeaker, as `Utterance.play`; cancelling falls silent at once."""
        from cosyd.audio.player import open_player

        if (started := await self.started) is None:
            return await self.result
        player = await asyncio.to_thread(
            open_player, device, started.sample_rate, started.encoding, started.channels
        )
        self._player = player
        self._client._players.add(player)
        try:
            await self._play_on(player)
        finally:
            self._player = None
            self._client._players.discard(player)
            player.close()
        return await self.result

    async def _play_on(self, player: Player) -> None:
        inbox = self._inbox
        inbox.listened = True
        while (frame := await self._take(or_pause=True)) is not None:
            if frame:
                await asyncio.to_thread(player.write, inbox.unpadded(frame))
                continue
            player.pause()
            await self._stream.wait(lambda: inbox.ready)
            if not inbox.dropped:
                player.resume()
        if not inbox.dropped:
            await asyncio.to_thread(player.drain)

    async def save(self, path: str | os.PathLike[str]) -> Result:
        """Write a WAV file, which appears when it is whole. Returns how the utterance ended.

        Raises:
            CosydError: it failed; there is no file then.
            cosyd.audio.wav.WriteFailed: the file could not be written.
        """
        from cosyd.audio.wav import WavWriter, open_output

        with open_output(path) as file:
            if (started := await self.started) is not None:
                wav = WavWriter(file, started.sample_rate, started.encoding, file.seekable)
                held = b""  # the padding is known only after the last frame
                async for frame in self:
                    wav.write(held)
                    held = frame
                wav.write(self._inbox.unpadded(held))
                wav.close()
        return await self.result
