"""Playing speech: chooses between PortAudio and the player programs that are installed.

A player holds a device open, so it is made when there is something to play and closed after.
Opening one costs about 70 ms, nearly all of it for importing sounddevice: done while the daemon
makes the first sound, it costs nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from cosyd.audio.device import (
    Device,
    NoSound,
    NoSuchDevice,
    PlayerFailed,
    SoundError,
    pick,
)

if TYPE_CHECKING:
    from cosyd.audio.pipeplayer import Spawn

__all__ = [
    "LATENCY_S",
    "LEAD_IN_S",
    "Device",
    "NoSound",
    "NoSuchDevice",
    "Player",
    "PlayerFailed",
    "SoundError",
    "list_devices",
    "open_player",
]

LATENCY_S = 0.03
"""Sound held ready in the device's buffer: what a busy client may be late without a gap. Up to
here a pause is exact; at 0.05 up to 10 ms are heard twice, since PulseAudio asks for sound in
blocks of a quarter of the buffer and nobody can tell how far into one it is."""
LEAD_IN_S = 0.02
"""Silence before the first sound: sinks that slept and amplifiers that fade in take their time out
of this and not out of the first consonant. Devices that need longer, such as some Bluetooth
speakers, need a larger one."""


class Player(Protocol):
    """Plays one stream of PCM. Every method may raise `PlayerFailed`, after which it is ended.

    `write` and `drain` belong to one thread at a time; `pause`, `resume`, `abort` and
    `played_samples` may be used from any other meanwhile, but not from a signal handler.
    """

    @property
    def played_samples(self) -> int:
        """Samples heard so far, as far as can be told.

        Good to 10 ms with PortAudio, to 30 with a program, but ffplay reads 1 s ahead.
        """

    def write(self, pcm: bytes) -> None:
        """Play whole samples after those before. Blocks until the device's buffer has them all.

        While paused it blocks until `resume` or `abort`, so a client with one thread must not
        write then. After `abort` it returns at once.
        """

    def drain(self) -> None:
        """Block until all that was written has been heard, and let go of the device.

        Another `write` may follow; it opens the device anew. After `abort` it returns at once.
        """

    def pause(self) -> None:
        """Fall silent now. What was not heard yet is kept for `resume`."""

    def resume(self) -> None:
        """Go on where `pause` cut in."""

    def abort(self) -> None:
        """Fall silent now, for good: drop what was not heard. A blocked `write` returns."""

    def close(self) -> None:
        """`abort`, and let go of everything. Call it last; a drained player loses nothing."""


def open_player(
    device: str | None = None,
    sample_rate: int = 48_000,
    encoding: str = "s16le",
    channels: int = 1,
    latency_s: float = LATENCY_S,
    lead_in_s: float = LEAD_IN_S,
    *,
    load: Callable[[], Any] | None = None,
    which: Callable[[str], str | None] | None = None,
    spawn: Spawn | None = None,
) -> Player:
    """A player for PCM in `encoding` ("s16le" or "f32le") at `sample_rate` Hz.

    PortAudio if it is installed and has an output device, else the first installed of paplay,
    pw-cat, aplay and ffplay. `device`: index or part of the name of one of `list_devices`; a
    player program gets it as it is. The last three arguments are for tests.

    Raises:
        NoSound: nothing can play.
        NoSuchDevice: `device` matches none or several.
        PlayerFailed: the device cannot be opened.
    """
    from cosyd.audio import portaudio

    try:
        sd = (load or portaudio.load)()
    except NoSound as missing:
        form = (sample_rate, encoding, channels, latency_s, device or None)
        return _open_program(form, lead_in_s, which or _which(), spawn, missing)
    chosen = pick(portaudio.devices(sd), device)
    return portaudio.open_portaudio(
        sd, chosen, sample_rate, encoding, channels, latency_s, lead_in_s
    )


def list_devices(*, load: Callable[[], Any] | None = None) -> list[Device]:
    """The output devices; `str()` of one is a line for a person, a star marks the default.

    Raises:
        NoSound: PortAudio is missing or has no output device.
    """
    from cosyd.audio import portaudio

    try:
        return portaudio.devices((load or portaudio.load)())
    except NoSound as missing:
        raise NoSound(f"cannot list devices: {missing}; {install_hint()}") from missing


def install_hint(platform: str = sys.platform) -> str:
    """What to type to get sound."""
    if platform == "darwin":
        return "try: pip install --force-reinstall sounddevice"
    return "try: apt install libportaudio2 libasound2-plugins (or your system's PortAudio)"


def _open_program(
    form: tuple[int, str, int, float, str | None],
    lead_in_s: float,
    which: Callable[[str], str | None],
    spawn: Spawn | None,
    missing: NoSound,
) -> Player:
    from cosyd.audio import pipeplayer

    for program in pipeplayer.PROGRAMS:
        if path := which(program.name):
            return pipeplayer.PipePlayer(
                program,
                path,
                pipeplayer.Format(*form),
                lead_in_s=lead_in_s,
                spawn=spawn or pipeplayer.spawn,
            )
    raise NoSound(f"cannot play sound: {missing}; {install_hint()}, or write a file with -o")


def _which() -> Callable[[str], str | None]:
    from shutil import which

    return which
