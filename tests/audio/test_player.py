"""Which player is chosen, and what is said when there is none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from cosyd.audio import player
from cosyd.audio.device import NoSound, NoSuchDevice
from cosyd.audio.pipeplayer import Process, spawn
from cosyd.audio.player import install_hint, list_devices, open_player
from cosyd.audio.portaudio import PortAudioPlayer
from tests.audio.loudspeaker import Sounddevice


def no_portaudio() -> object:
    raise NoSound("PortAudio is not installed")


def only(*names: str) -> Callable[[str], str | None]:
    return lambda name: f"/bin/{name}" if name in names else None


def started(device: str | None = None, *, installed: Sequence[str]) -> list[str]:
    """The command line of the program that is chosen; a stand-in is started."""
    commands: list[list[str]] = []

    def stand_in(argv: Sequence[str]) -> Process:
        commands.append(list(argv))
        return spawn([sys.executable, "-c", ""])

    open_player(device, load=no_portaudio, which=only(*installed), spawn=stand_in).close()
    (command,) = commands
    return command


def test_portaudio_comes_first() -> None:
    playing = open_player(load=Sounddevice, which=only("paplay"))
    assert isinstance(playing, PortAudioPlayer)
    playing.close()


@pytest.mark.parametrize(
    ("installed", "chosen"),
    [
        (["ffplay", "aplay", "pw-cat", "paplay"], "/bin/paplay"),
        (["ffplay", "aplay", "pw-cat"], "/bin/pw-cat"),
        (["ffplay", "aplay"], "/bin/aplay"),
        (["ffplay"], "/bin/ffplay"),
    ],
)
def test_else_the_first_program_that_is_installed(installed: list[str], chosen: str) -> None:
    assert started(installed=installed)[0] == chosen


def test_a_program_gets_the_device_as_it_is() -> None:
    assert started("my sink", installed=["paplay"])[-1] == "--device=my sink"


def test_nothing_at_all() -> None:
    with pytest.raises(NoSound) as caught:
        open_player(load=no_portaudio, which=only())
    text = str(caught.value)
    assert text.startswith("cannot play sound: PortAudio is not installed; try: ")
    assert text.endswith(", or write a file with -o")
    assert "\n" not in text


@pytest.mark.parametrize(
    ("platform", "words"), [("linux", "apt install libportaudio2"), ("darwin", "pip install")]
)
def test_the_hint_is_the_platforms(platform: str, words: str) -> None:
    assert words in install_hint(platform)


@pytest.mark.parametrize("wanted", ["1", "speak", "SPEAKERS"])
def test_a_device_is_found(wanted: str) -> None:
    sd = Sounddevice()
    playing = open_player(wanted, load=lambda: sd)
    playing.close()
    assert sd.opened[0]["device"] == 1


def test_an_unknown_device_does_not_fall_through_to_a_program() -> None:
    with pytest.raises(NoSuchDevice, match="no sound device 'mic'"):
        open_player("mic", load=Sounddevice, which=only("paplay"))


def test_devices_are_listed() -> None:
    lines = [str(device) for device in list_devices(load=Sounddevice)]
    assert lines == ["  1: speakers", "* 2: headset"]


def test_without_portaudio_no_devices_are_listed() -> None:
    with pytest.raises(NoSound, match="cannot list devices: PortAudio is not installed; try: "):
        list_devices(load=no_portaudio)


def test_importing_it_loads_no_backend() -> None:
    root = Path(player.__file__).parents[2]
    code = f"import sys; sys.path.append({str(root)!r}); import cosyd.audio.player"
    command = [sys.executable, "-c", f"{code}; print(*sys.modules)"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    heavy = {"sounddevice", "numpy", "subprocess", "shutil", "asyncio", "ctypes"}
    assert heavy.isdisjoint(done.stdout.split())
