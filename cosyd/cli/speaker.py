"""The loudspeaker as a target of `cosy say`, and the list of sound devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from cosyd.audio.device import SoundError
from cosyd.cli.failure import DONE, Failure

if TYPE_CHECKING:
    from cosyd.audio.player import Player


class Speaker:
    """Plays. What cannot play raises `Failure`, which names what to install."""

    pace: Literal["none", "realtime"] = "realtime"

    def __init__(self, device: str | None) -> None:
        self._device = device
        self._player: Player | None = None

    def prepare(self, sample_rate: int) -> None:
        """Open the device, if it is not open yet; about 100 ms, most of it an import."""
        if self._player is None:
            from cosyd.audio.player import open_player

            with _sound_failure():
                self._player = open_player(self._device, sample_rate)

    def try_out(self, sample_rate: int) -> None:
        """Play a little silence: some player programs only find out then that nothing works."""
        self.prepare(sample_rate)
        with _sound_failure():
            self._open.write(bytes(2 * (sample_rate // 50)))
            self._open.drain()

    def write(self, pcm: bytes) -> None:
        """Play one frame; waits while the device's buffer is full."""
        with _sound_failure():
            self._open.write(pcm)

    def heard(self) -> int:
        """What has come out of the device, as far as can be told."""
        with _sound_failure():
            return self._open.played_samples

    def finish(self, samples: int) -> None:
        """Wait until the last sample came out; the padding after it is silence."""
        del samples
        with _sound_failure():
            self._open.drain()
            self._open.close()

    def abort(self) -> None:
        """Drop what was not heard."""
        if self._player is not None:
            self._player.close()

    @property
    def _open(self) -> Player:
        assert self._player is not None, "prepare comes first"
        return self._player


@contextmanager
def _sound_failure() -> Iterator[None]:
    try:
        yield
    except SoundError as error:
        raise Failure(_with_way_out(str(error))) from error


def _with_way_out(message: str) -> str:
    """`message` and what works without sound, if it does not say so itself."""
    return message if "-o" in message else f"{message}; `cosy say -o out.wav` writes a file"


def print_devices(show: Callable[[str], object] = print) -> int:
    """List the sound devices, the default with a star. Returns the exit code."""
    from cosyd.audio.player import list_devices

    with _sound_failure():
        devices = list_devices()
    for device in devices:
        show(str(device))
    return DONE
