"""Sound devices: how one is chosen, and every way playing can fail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class SoundError(Exception):
    """Base of what playing raises; the message is one line for a person."""


class NoSound(SoundError):
    """Nothing on this machine can play; the message says what to install."""


class NoSuchDevice(SoundError):
    """The device asked for is not there, or several have that name; names those there are."""


class PlayerFailed(SoundError):
    """The device or the player program refused, went away or stopped taking sound."""


class Device(NamedTuple):
    """One output device."""

    number: int
    """What `--device` takes; it may change when devices come and go."""
    name: str
    default: bool
    """Whether sound goes there when no device is named."""

    def __str__(self) -> str:
        return f"{'*' if self.default else ' '} {self.number}: {self.name}"


def pick(devices: Sequence[Device], wanted: str | None) -> Device | None:
    """The device that `wanted` means: an index, a whole name or a part of one name only.

    None, the system's default, for None and "". Case does not matter.

    Raises:
        NoSuchDevice: none or more than one matches.
    """
    if not wanted:
        return None
    key = wanted.casefold()
    for found in (
        [d for d in devices if wanted == str(d.number)],
        [d for d in devices if d.name.casefold() == key],
        [d for d in devices if key in d.name.casefold()],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            names = "; ".join(f"{d.number}: {d.name}" for d in found)
            raise NoSuchDevice(f"{wanted!r} could be several devices: {names}")
    raise NoSuchDevice(f"no sound device {wanted!r}; {_near(devices, key)}")


def _near(devices: Sequence[Device], key: str) -> str:
    import difflib  # only a mistake pays for it

    names = {device.name.casefold(): device for device in devices}
    near = [names[name] for name in difflib.get_close_matches(key, names, n=3, cutoff=0.5)]
    return "there are: " + "; ".join(f"{d.number}: {d.name}" for d in near or devices)
