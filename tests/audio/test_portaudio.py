"""The PortAudio player on a device that is played by the test: no sound, no waiting."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosyd.audio.device import Device, NoSound, PlayerFailed
from cosyd.audio.portaudio import STALL_S, PortAudioPlayer, devices, open_portaudio
from tests.audio.loudspeaker import CAPACITY, WIDTH, DeviceError, Loudspeaker, Sounddevice

RATE = 8_000


def player(speaker: Loudspeaker, **options: object) -> PortAudioPlayer:
    options = {"errors": (DeviceError,), **options}
    return PortAudioPlayer(speaker.open, RATE, WIDTH, **options)  # type: ignore[arg-type]  # few


def speech(samples: int) -> bytes:
    return b"".join((1 + i % 30_000).to_bytes(2, "little") for i in range(samples))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 170), max_size=6), st.integers(20, 120))
def test_what_is_written_is_heard_to_the_end(sizes: list[int], step: int) -> None:
    speaker, whole = Loudspeaker(step), speech(sum(sizes))
    playing, position = player(speaker), 0
    for size in sizes:
        playing.write(whole[2 * position : 2 * (position + size)])
        position += size
    playing.drain()
    assert speaker.speech == whole
    assert playing.played_samples == sum(sizes)
    playing.close()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 90), st.booleans()), max_size=8), st.integers(10, 60))
def test_pauses_lose_and_repeat_nothing(pieces: list[tuple[int, bool]], step: int) -> None:
    speaker, whole = Loudspeaker(step), speech(sum(size for size, _ in pieces))
    playing, position = player(speaker, lead_in_s=0.002), 0
    for size, pause in pieces:
        playing.write(whole[2 * position : 2 * (position + size)])
        position += size
        if pause:
            playing.pause()
            assert len(speaker.speech) // 2 == playing.played_samples
            playing.resume()
    playing.drain()
    assert speaker.speech == whole


def test_silence_leads_in_and_pushes_the_end_through() -> None:
    speaker = Loudspeaker()
    playing = player(speaker, lead_in_s=0.01)
    playing.write(speech(500))
    playing.drain()
    assert bytes(speaker.heard[:160]) == bytes(160)
    assert bytes(speaker.heard[160 : 160 + 1_000]) == speech(500)
    assert speaker.log[-2:] == ["abort", "close"]


def test_nothing_is_started_until_there_is_sound() -> None:
    speaker = Loudspeaker()
    playing = player(speaker)
    assert speaker.log == ["open"]
    playing.drain()
    playing.close()
    playing.close()
    assert speaker.log == ["open", "abort", "close"]


def test_a_paused_player_holds_no_device() -> None:
    speaker = Loudspeaker(step=0)
    playing = player(speaker)
    playing.write(speech(50))
    playing.pause()
    playing.pause()
    assert speaker.log[-2:] == ["abort", "close"]
    playing.resume()
    playing.resume()
    assert speaker.log.count("open") == 2


def test_it_plays_again_after_a_drain() -> None:
    speaker = Loudspeaker()
    playing = player(speaker)
    for _ in range(2):
        playing.write(speech(300))
        playing.drain()
    assert speaker.speech == speech(300) * 2
    assert playing.played_samples == 600


@pytest.fixture
def run() -> Iterator[Callable[[Callable[[], None]], threading.Thread]]:
    """Starts something in a thread, which must have ended when the test has."""
    threads = []

    def start(call: Callable[[], None]) -> threading.Thread:
        threads.append(threading.Thread(target=call, daemon=True))
        threads[-1].start()
        return threads[-1]

    yield start
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


Run = Callable[[Callable[[], None]], threading.Thread]


def test_a_paused_write_waits_for_resume(run: Run) -> None:
    speaker = Loudspeaker()
    playing = player(speaker)
    playing.pause()

    def play() -> None:
        playing.write(speech(300))
        playing.drain()

    thread = run(play)
    thread.join(0.05)
    assert thread.is_alive()
    assert speaker.speech == b""
    playing.resume()
    thread.join(30)
    assert speaker.speech == speech(300)


@pytest.mark.parametrize("paused", [False, True])
def test_abort_ends_a_blocked_write(run: Run, paused: bool) -> None:
    speaker = Loudspeaker(step=0)
    playing = player(speaker)
    thread = run(lambda: playing.write(speech(1_000)))
    if paused:
        playing.pause()
    playing.abort()
    thread.join(30)
    playing.write(speech(10))
    playing.drain()
    playing.resume()
    assert speaker.speech == b""
    assert "open" not in speaker.log[1:]


@pytest.mark.parametrize("call", ["start", "room", "write"])
def test_a_device_that_fails_ends_the_player(call: str) -> None:
    speaker = Loudspeaker()
    playing = player(speaker)
    speaker.fail = call
    with pytest.raises(PlayerFailed, match="the sound device failed: unplugged"):
        playing.write(speech(300))
    playing.write(speech(300))
    playing.close()
    assert speaker.speech == b""


def test_a_device_that_cannot_be_opened() -> None:
    speaker = Loudspeaker()
    speaker.fail = "open"
    with pytest.raises(PlayerFailed, match="unplugged"):
        player(speaker)


def test_a_device_that_is_gone_after_a_pause() -> None:
    speaker = Loudspeaker(step=0)
    playing = player(speaker)
    playing.write(speech(50))
    playing.pause()
    speaker.fail = "open"
    with pytest.raises(PlayerFailed, match="unplugged"):
        playing.resume()


def test_a_device_that_stops_is_noticed() -> None:
    time = iter(range(0, 1_000, int(STALL_S / 2) or 1))
    playing = player(Loudspeaker(step=0), clock=lambda: float(next(time)))
    with pytest.raises(PlayerFailed, match="stopped taking sound"):
        playing.write(speech(CAPACITY + 1))


def test_a_stream_that_does_not_close_is_left() -> None:
    speaker, left = Loudspeaker(), threading.Event()
    speaker.hang = threading.Event()
    playing = player(speaker, abandon=left.set, close_s=0.01)
    playing.write(speech(10))
    playing.abort()
    assert left.is_set()
    speaker.hang.set()


# How sounddevice is used.


def test_devices_that_can_play_are_listed() -> None:
    assert devices(Sounddevice()) == [Device(1, "speakers", False), Device(2, "headset", True)]


def test_the_stream_is_opened_as_asked() -> None:
    sd = Sounddevice()
    playing = open_portaudio(sd, Device(1, "speakers", False), 24_000, "f32le", 2, 0.1, 0.0)
    playing.write(bytes(8))
    playing.close()
    (options,) = sd.opened
    assert options == {
        "samplerate": 24_000,
        "channels": 2,
        "dtype": "float32",
        "device": 1,
        "latency": 0.1,
    }


@pytest.mark.parametrize("error", [ImportError, OSError])
def test_a_missing_library_is_no_sound(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    from cosyd.audio import portaudio

    class Finder:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "sounddevice":
                raise error("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    with pytest.raises(NoSound, match="PortAudio is not installed"):
        portaudio.load()
