"""`cosy say` heard through a real sound server."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.audio.soundserver import RATE, Recording, SoundServer, missing

pytestmark = [
    pytest.mark.sound,
    pytest.mark.skipif(bool(missing()), reason=f"not installed: {missing()}"),
]

LONG = "One two three four five six seven eight. " * 50
SOON = RATE // 2
"""Samples: a generous bound for what is still heard after an end; the lead is 200 ms."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoundServer]:
    found = SoundServer(tmp_path_factory.mktemp("sound"))
    yield found
    found.kill()


def sounding(samples: Recording) -> int:
    """Samples from the first that is not silent to the last."""
    loud = samples.nonzero()[0]
    return int(loud[-1] - loud[0]) + 1 if loud.size else 0


def test_a_sentence_is_heard_whole(cosy: Any, server: SoundServer) -> None:
    with server.recorder() as recorder:
        done = cosy("say", "One two three four.", env=dict(server.environment))
        assert (done.returncode, done.stderr) == (0, b"")
        heard = recorder.wait_for_silence()
    assert sounding(heard) == pytest.approx(4 * 4800, abs=480)


@pytest.mark.parametrize("how", ["ctrl-c", "stop", "interrupt"])
def test_it_falls_silent_soon(cosy: Any, server: SoundServer, how: str) -> None:
    with server.recorder() as recorder:
        with cosy.start("say", LONG, "--channel", "x", env=dict(server.environment)) as process:
            before = recorder.wait(lambda samples: sounding(samples) > RATE // 2)
            if how == "ctrl-c":
                process.send_signal(signal.SIGINT)
                assert process.wait(30) == 130
            elif how == "stop":
                cosy("stop")
                assert process.wait(30) == 1
            else:
                cosy("say", "Hush", "--channel", "x", "--interrupt", "-o", "/dev/null")
                assert process.wait(30) == 1
        heard = recorder.wait_for_silence()
    commands = 0 if how == "ctrl-c" else RATE  # starting another `cosy` takes its time
    assert sounding(heard) - sounding(before) < SOON + commands


def test_a_pause_is_silent_and_nothing_is_lost(
    cosy: Any, server: SoundServer, until: Callable[..., None]
) -> None:
    with server.recorder() as recorder:
        text = "One two three four five six seven eight nine ten. " * 3
        with cosy.start("say", text, env=dict(server.environment)) as process:
            recorder.wait(lambda samples: sounding(samples) > RATE // 2)
            cosy("pause")
            paused = recorder.wait_for_silence(0.5)
            assert sounding(paused) < 2 * RATE
            assert process.poll() is None
            cosy("resume")
            assert process.wait(30) == 0
        heard = recorder.wait_for_silence()
    until(lambda: cosy.active() == 0)
    loud = int((heard != 0).sum())
    assert loud == pytest.approx(30 * 4800, rel=0.02)


def test_devices_are_listed_and_an_unknown_one_is_named(cosy: Any, server: SoundServer) -> None:
    listed = cosy("say", "-a", "?", env=dict(server.environment))
    assert (listed.returncode, listed.stderr) == (0, b"")
    assert any(line.startswith(b"*") for line in listed.stdout.splitlines())
    done = cosy("say", "-a", "nothing like it", "Hello", env=dict(server.environment))
    assert done.returncode == 1
    assert b"no sound device 'nothing like it'" in done.stderr
    assert done.stderr.count(b"\n") == 1
