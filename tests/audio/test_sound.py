"""Every player heard through a real sound server: a private PulseAudio, its sink recorded.

The speech is a counter: each sample tells its own position, so that every lost or repeated
sample and every gap shows.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosyd.audio import portaudio
from cosyd.audio.device import NoSound, PlayerFailed
from cosyd.audio.player import Player, list_devices, open_player
from tests.audio.soundserver import RATE, Recording, SoundServer, missing

pytestmark = [
    pytest.mark.sound,
    pytest.mark.skipif(bool(missing()), reason=f"not installed: {missing()}"),
]

BACKENDS = ["portaudio", "paplay", "aplay", "ffplay"]
LOOP = 32_000
SOON = RATE // 4
"""A generous bound for what is still heard after a call that ends the sound at once."""

Open = Callable[..., Player]


def counter(seconds: float) -> bytes:
    return (np.arange(round(seconds * RATE)) % LOOP + 1).astype("<i2").tobytes()


def heard(recording: Recording) -> Recording:
    """The positions of the samples heard, from 0."""
    values = recording[recording != 0] - 1
    laps = np.cumsum(np.diff(values, prepend=0) < -LOOP // 2)
    positions: Recording = values + LOOP * laps
    return positions


def gaps(recording: Recording) -> list[int]:
    """Lengths in samples of the silences inside the sound."""
    between = np.diff(np.flatnonzero(recording))
    return [int(gap) - 1 for gap in between[between > 1]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoundServer]:
    with running(tmp_path_factory.mktemp("sound")) as server:
        yield server


@pytest.fixture
def mortal_server(tmp_path: Path) -> Iterator[SoundServer]:
    """One that the test may kill."""
    with running(tmp_path) as server:
        yield server


class running:
    """A server that this process, PortAudio included, and its children play to."""

    def __init__(self, folder: Path) -> None:
        self.server = SoundServer(folder)
        self.patch = pytest.MonkeyPatch()

    def __enter__(self) -> SoundServer:
        for name, value in self.server.environment.items():
            self.patch.setenv(name, value)
        restart_portaudio()
        return self.server

    def __exit__(self, *_: object) -> None:
        self.patch.undo()
        self.server.kill()
        restart_portaudio()


def restart_portaudio() -> None:
    """It looks for devices once only, when it starts."""
    try:
        import sounddevice
    except (ImportError, OSError):
        return
    sounddevice._terminate()
    sounddevice._initialize()


@pytest.fixture(params=BACKENDS)
def play(request: pytest.FixtureRequest) -> Open:
    """Opens a player of one kind."""
    name: str = request.param
    if name == "portaudio":
        return portaudio_only
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")

    def missing_portaudio() -> Any:
        raise NoSound("not wanted here")

    def which(program: str) -> str | None:
        return shutil.which(program) if program == name else None

    def open_program(**options: Any) -> Player:
        return open_player(load=missing_portaudio, which=which, **options)

    return open_program


def portaudio_only(**options: Any) -> Player:
    try:
        portaudio.load()
    except NoSound as error:
        pytest.skip(str(error))
    return open_player(**options)


def start(call: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def speak(player: Player, seconds: float) -> None:
    pcm = counter(seconds)
    for frame in range(0, len(pcm), 1920):
        player.write(pcm[frame : frame + 1920])
    player.drain()


def until_heard(seconds: float) -> Callable[[Recording], bool]:
    return lambda recording: bool(np.count_nonzero(recording) >= seconds * RATE)


def test_the_whole_of_it_is_heard_without_a_gap(server: SoundServer, play: Open) -> None:
    with server.recorder() as recorder:
        player = play(latency_s=0.15)  # enough for a machine that is busy with other tests
        speak(player, 0.7)
        assert player.played_samples == round(0.7 * RATE)
        player.close()
        recording = recorder.wait_for_silence()
    assert np.array_equal(heard(recording), np.arange(round(0.7 * RATE)))
    assert gaps(recording) == []


def test_a_single_frame_is_heard(server: SoundServer, play: Open) -> None:
    """Shorter than any buffer on its way."""
    with server.recorder() as recorder:
        player = play()
        speak(player, 0.02)
        player.close()
        recording = recorder.wait_for_silence()
    assert np.array_equal(heard(recording), np.arange(960))


def test_float_sounds_the_same(server: SoundServer, play: Open) -> None:
    floats = (np.frombuffer(counter(0.2), "<i2") / 32768).astype("<f4").tobytes()
    with server.recorder() as recorder:
        player = play(encoding="f32le")
        player.write(floats)
        player.drain()
        player.close()
        recording = recorder.wait_for_silence()
    # Converted back to 16 bits a sample may be rounded to its neighbour.
    values = recording[recording != 0]
    assert abs(values.size - round(0.2 * RATE)) <= 1
    assert abs(values - np.arange(1, values.size + 1)).max() <= 1


def test_pauses_are_silent_and_lose_nothing(server: SoundServer, play: Open) -> None:
    with server.recorder() as recorder:
        player = play()
        thread = start(lambda: speak(player, 1.5))
        for seconds in (0.2, 0.6):
            before = np.count_nonzero(recorder.wait(until_heard(seconds)))
            player.pause()
            during = np.count_nonzero(recorder.wait_for_silence())
            assert during < before + SOON
            player.resume()
        thread.join(30)
        player.close()
        positions = heard(recorder.wait_for_silence())
    steps = np.diff(positions)
    assert positions[0] == 0
    assert positions[-1] == 1.5 * RATE - 1
    assert steps.max() == 1, "lost"
    # Nothing with 30 ms in PortAudio's buffer, where PulseAudio tells its position in time.
    assert steps.min() >= -RATE // 100, "more than 10 ms repeated"
    assert np.count_nonzero(steps != 1) <= 2


def test_abort_is_silent_at_once(server: SoundServer, play: Open) -> None:
    with server.recorder() as recorder:
        player = play()
        thread = start(lambda: speak(player, 3.0))
        before = np.count_nonzero(recorder.wait(until_heard(0.2)))
        player.abort()
        thread.join(30)
        assert not thread.is_alive()
        player.close()
        assert np.count_nonzero(recorder.wait_for_silence()) < before + SOON


def test_abort_while_paused(server: SoundServer, play: Open) -> None:
    with server.recorder() as recorder:
        player = play()
        thread = start(lambda: speak(player, 3.0))
        recorder.wait(until_heard(0.1))
        player.pause()
        before = np.count_nonzero(recorder.wait_for_silence())
        player.abort()
        thread.join(30)
        assert not thread.is_alive()
        player.close()
        assert np.count_nonzero(recorder.samples) == before


def test_one_player_speaks_twice(server: SoundServer, play: Open) -> None:
    with server.recorder() as recorder:
        player = play()
        speak(player, 0.1)
        speak(player, 0.1)
        player.close()
        recording = recorder.wait_for_silence()
    values = recording[recording != 0] - 1
    assert np.array_equal(values, np.tile(np.arange(4_800), 2))


def test_no_stream_stays_open(server: SoundServer, play: Open) -> None:
    player = play()
    speak(player, 0.05)
    assert server.run("list", "short", "sink-inputs") == ""
    player.close()


@pytest.mark.parametrize("play", ["portaudio", "paplay", "aplay"], indirect=True)
def test_a_server_that_dies_is_told(mortal_server: SoundServer, play: Open) -> None:
    """Not by ffplay, which goes on reading as if it were heard."""
    player = play()

    def kill() -> None:
        with mortal_server.recorder() as recorder:
            recorder.wait(lambda recording: recording.size > RATE // 5)
            mortal_server.kill()

    thread = start(kill)
    try:
        with pytest.raises(PlayerFailed) as caught:
            speak(player, 60)
    finally:
        player.close()
    thread.join(30)
    assert "\n" not in str(caught.value)


def test_a_sink_that_is_suspended_is_told(
    server: SoundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portaudio, "STALL_S", 0.3)
    player = portaudio_only()
    try:
        server.run("suspend-sink", "cosynull", "1")
        with pytest.raises(PlayerFailed, match="stopped taking sound"):
            speak(player, 10)
    finally:
        server.run("suspend-sink", "cosynull", "0")
        player.close()


@pytest.mark.usefixtures("server")
def test_the_server_is_a_device() -> None:
    portaudio_only().close()
    devices = list_devices()
    assert [device.name for device in devices if device.default] == ["default"]
    player = portaudio_only(device="pulse")
    speak(player, 0.05)
    player.close()
