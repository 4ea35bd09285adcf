"""The blocking client: `cosyd.connect()`. Several threads may use one connection at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from cosyd.client.autostart import dialler
from cosyd.client.channel import Channel
from cosyd.client.heard import Heard
from cosyd.client.result import Result, Server, Started, result_of, server_of, started_of
from cosyd.wire.connection import ClientConnection
from cosyd.wire.inbox import Inbox

if TYPE_CHECKING:
    import os
    from typing import Self, Unpack

    from cosyd.audio.player import Player
    from cosyd.client.options import Say


def connect(
    path: str | None = None,
    autostart: bool = True,
    timeout: float = 15.0,
    client: str = "python",
) -> Client:
    """Connect to the daemon, starting it if none runs.

    >>> with cosyd.connect() as client:
    ...     client.say("Hello there.").save("hello.wav").kind
    'finished'

    Args:
        path: the daemon's socket; None: $COSYD_SOCKET or the default place.
        autostart: whether to start a daemon if there is none.
        timeout: seconds that connecting, starting and the first answer may take together.
        client: what the daemon's log calls us.

    Raises:
        Unreachable: no daemon answers and none could be started.
        Forbidden: the socket or its directory belongs to somebody else.
    """
    core = ClientConnection(client)
    return Client(core, Channel(core, dialler(path, autostart, timeout), timeout))


class Client:
    """One connection. Use it as a context manager, or `close` it: that stops its utterances."""

    def __init__(self, core: ClientConnection, channel: Channel) -> None:
        """Use `connect`."""
        self._core = core
        self._channel = channel
        self._players: set[Player] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up: what this client still says stops, and whoever waits gets `Unreachable`."""
        self._channel.close()

    @property
    def hello(self) -> Server:
        """The daemon's greeting; waits for it."""
        self._channel.wait(lambda: self._core.hello.done)
        return server_of(self._core.hello.result())

    def say(self, text: str = "", *, final: bool = True, **fields: Unpack[Say]) -> Utterance:
        """Begin to speak; returns at once. Text of any length.

        If the daemon or the engine dies before any of it was heard, it is said again, once.

        >>> with cosyd.connect() as client:
        ...     utterance = client.say("One. Two.", voice="tone", sample_rate=24000)
        ...     audio = b"".join(utterance)
        ...     len(audio) >= 2 * utterance.result.samples
        True

        Args:
            text: what to say.
            final: whether that is all; else more comes through `Utterance.write` and `end`.
            fields: voice, language, instruct, speed (0.5-2), volume (0-2), sample_rate (Hz),
                encoding ("s16le", "f32le"), frame_ms (10-100), loudness (LUFS; None: off),
                pace ("none", "realtime"), seed, priority (-10-10), channel, interrupt, ssml,
                marks, keep_alive (seconds). One that is not given is the daemon's to choose.

        Raises:
            TypeError: an unknown field.
            BadRequest: a value that cannot be sent. What the daemon refuses is raised by
                iterating, `started` and `result`.
        """
        with self._channel as core:
            inbox = core.say(text, final=final, **fields)
        return Utterance(self, self._channel, inbox)

    def voices(self) -> list[dict[str, Any]]:
        """All voices: name, model, engine, languages, sample_rate, capabilities, installed …"""
        voices: list[dict[str, Any]] = self._call("voices")["voices"]
        return voices

    def status(self) -> dict[str, Any]:
        """What the daemon is doing: models, utterances, connections, counters, memory."""
        return self._call("status")

    def ping(self) -> float:
        """Round trip to the daemon and back, in ms."""
        from time import perf_counter

        begun = perf_counter()
        self._call("ping")
        return (perf_counter() - begun) * 1000

    def load(self, voice: str | None = None, model: str | None = None) -> dict[str, Any]:
        """Load a model, named itself or by a voice; returns {model, load_ms} when it is warm."""
        return self._call("load", voice=voice, model=model)

    def unload(self, model: str | None = None) -> list[str]:
        """Unload a model, or all idle ones; returns their names. Raises `Busy` while it speaks."""
        models: list[str] = self._call("unload", model=model)["models"]
        return models

    def add_voice(
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
        entry: dict[str, Any] = self._call("add_voice", name=name, **fields)["voice"]
        return entry

    def remove_voice(self, name: str) -> None:
        """Remove a cloned voice. Raises `VoiceNotFound`, or `Forbidden` for an installed one."""
        self._call("remove_voice", name=name)

    def shutdown(self, drain: bool = True) -> None:
        """End the daemon; `drain`: after what is being said."""
        self._call("shutdown", drain=drain)

    def pause(self, scope: str | None = None) -> None:
        """Pause all utterances of this connection; scope="user": of the whole daemon."""
        self._everything("pause", scope)

    def resume(self, scope: str | None = None) -> None:
        """Resume all utterances of this connection; scope="user": of the whole daemon."""
        self._everything("resume", scope)

    def stop(self, scope: str | None = None) -> None:
        """Stop all utterances of this connection; scope="user": of the whole daemon."""
        self._everything("stop", scope)

    def _everything(self, kind: str, scope: str | None) -> None:
        with self._channel as core:
            core.everything(kind, scope=scope)
        if kind == "stop":
            for player in tuple(self._players):
                player.abort()
        self._call("ping")  # nothing answers the other; after this the daemon has done it

    def _call(self, kind: str, **fields: Any) -> dict[str, Any]:
        with self._channel as core:
            call = core.call(kind, **fields)
        self._channel.wait(lambda: call.done)
        return call.result()


class Utterance(Heard):
    """One thing being said. Iterate it for its audio, or `play` or `save` it."""

    def __init__(self, client: Client, channel: Channel, inbox: Inbox) -> None:
        """Use `Client.say`."""
        self._client = client
        self._channel = channel
        super().__init__(inbox)
        self._player: Player | None = None

    def __iter__(self) -> Iterator[bytes]:
        """Frames as they come (20 ms each by default), all of one size, the last one padded.

        While paused none come. Ends after `stop` at once. Raises what went wrong.
        """
        self._inbox.listened = True
        try:
            while (frame := self._channel.take(self._inbox)) is not None:
                yield frame
        finally:
            self._inbox.listened = False

    def write(self, text: str, flush: bool = False) -> None:
        """More text, after `say(..., final=False)`; `flush`: speak it though no sentence ends.

        Raises:
            BadRequest: the text has ended already.
        """
        with self._channel as core:
            core.text(self._inbox, text, flush=flush)

    def end(self, text: str = "") -> None:
        """The last of the text. Raises `BadRequest` if it was sent already."""
        with self._channel as core:
            core.text(self._inbox, text, final=True)

    def pause(self) -> None:
        """Fall silent until `resume`; the offset is kept."""
        with self._channel as core:
            core.pause(self._inbox)

    def resume(self) -> None:
        """Go on where it was paused, by whomever."""
        with self._channel as core:
            core.resume(self._inbox)

    def stop(self) -> None:
        """Fall silent for good; the connection is ready for the next `say`."""
        with self._channel as core:
            core.stop(self._inbox)
        if (player := self._player) is not None:
            player.abort()

    @property
    def started(self) -> Started | None:
        """How it is spoken; waits for its turn. None if it was stopped before.

        Raises:
            CosydError: it failed before it began.
        """
        inbox = self._inbox
        self._channel.wait(lambda: inbox.started is not None or inbox.ended)
        return started_of(inbox)

    @property
    def result(self) -> Result:
        """How it ended; waits for that. Audio that nobody has taken is kept, up to 30 minutes.

        Raises:
            CosydError: it failed.
            RuntimeError: so much audio waits to be taken that the end cannot come.
        """
        with self._channel as core:
            core.collect(self._inbox)
        self._channel.wait(lambda: self._inbox.ended or self._inbox.stuck)
        return result_of(self._inbox)

    def play(self, device: str | None = None) -> Result:
        """Play it on a loudspeaker; returns when all of it was heard.

        `pause` and `stop`, from another thread or another program, are heard within a frame.
        Say it with pace="realtime" if others shall be able to pause it: else the daemon may
        have sent all of it, and be done with it, while it still sounds.

        Args:
            device: index or part of the name of an output device; None: the default one.

        Raises:
            CosydError: it failed.
            cosyd.audio.player.SoundError: there is no such device, or it does not work.
        """
        from cosyd.audio.player import open_player

        if (started := self.started) is None:
            return self.result
        player = open_player(device, started.sample_rate, started.encoding, started.channels)
        self._player = player
        self._client._players.add(player)
        try:
            self._play_on(player)
        finally:
            self._player = None
            self._client._players.discard(player)
            player.close()
        return self.result

    def _play_on(self, player: Player) -> None:
        inbox, channel = self._inbox, self._channel
        inbox.listened = True
        while (frame := channel.take(inbox, or_pause=True)) is not None:
            if frame:
                player.write(inbox.unpadded(frame))
                continue
            player.pause()
            channel.wait(lambda: inbox.ready)
            if not inbox.dropped:
                player.resume()
        if not inbox.dropped:
            player.drain()

    def save(self, path: str | os.PathLike[str]) -> Result:
        """Write a WAV file, which appears when it is whole. Returns how the utterance ended.

        Raises:
            CosydError: it failed; there is no file then.
            cosyd.audio.wav.WriteFailed: the file could not be written.
        """
        from cosyd.audio.wav import WavWriter, open_output

        with open_output(path) as file:
            if (started := self.started) is not None:
                wav = WavWriter(file, started.sample_rate, started.encoding, file.seekable)
                self._unpadded_to(wav.write)
                wav.close()
        return self.result

    def _unpadded_to(self, write: Callable[[bytes], object]) -> None:
        held = b""  # the padding is known only after the last frame
        for frame in self:
            write(held)
            held = frame
        write(self._inbox.unpadded(held) if held else held)
