"""A private PulseAudio with one sink that plays nowhere, and a recorder of what it plays."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 48_000
SINK = "cosynull"
SINK_FORMAT = "channels=1 format=s16le norewinds=1"
PROGRAMS = ("pulseaudio", "pactl", "parec")

Recording = NDArray[np.int64]


def missing() -> str:
    """The programs that are not installed, or ""."""
    return ", ".join(name for name in PROGRAMS if shutil.which(name) is None)


class SoundServer:
    """One server. `environment` is what a client of it needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "native"
        self.environment: Mapping[str, str] = {
            "PULSE_SERVER": f"unix:{self.socket}",
            "PULSE_RUNTIME_PATH": str(folder),
            "PULSE_COOKIE": str(folder / "cookie"),
            "XDG_RUNTIME_DIR": str(folder),
        }
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [
                *["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1"],
                *["--use-pid-file=no", "--disallow-exit", "--realtime=no", "--high-priority=no"],
                # A client that dies while its memory is shared makes some versions abort.
                *["--disable-shm=yes", "--enable-memfd=no"],
                f"--log-target=file:{self.folder}/log",
                *["-L", f"module-native-protocol-unix auth-anonymous=1 socket={self.socket}"],
                *["-L", f"module-null-sink sink_name={SINK} rate={RATE} {SINK_FORMAT}"],
            ],
            env={**os.environ, **self.environment, "HOME": str(self.folder)},
            stderr=subprocess.DEVNULL,
        )
        ask = ["pactl", "--server", self.environment["PULSE_SERVER"], "info"]
        for _ in range(100):  # it answers in 70 ms; pactl has no way to wait for a server
            if subprocess.run(ask, capture_output=True, check=False).returncode == 0:
                return process
            with_timeout(process, 0.02)
        process.kill()
        raise RuntimeError((self.folder / "log").read_text())

    def run(self, *arguments: str) -> str:
        """What `pactl` says."""
        command = ["pactl", "--server", self.environment["PULSE_SERVER"], *arguments]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    @contextmanager
    def recorder(self) -> Iterator[Recorder]:
        recorder = Recorder(self.environment)
        try:
            yield recorder
        finally:
            recorder.close()


class Recorder:
    """Everything the sink plays from now on, silence included."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [
                *["parec", "-d", f"{SINK}.monitor", "--format=s16le", f"--rate={RATE}"],
                *["--channels=1", "--latency-msec=10", "--raw"],
            ],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
        )
        self._data = bytearray()
        self._grown = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self.wait(lambda samples: samples.size > 0)

    def _read(self) -> None:
        assert self._process.stdout is not None
        while piece := os.read(self._process.stdout.fileno(), 4096):
            with self._grown:
                self._data += piece
                self._grown.notify_all()

    @property
    def samples(self) -> Recording:
        whole = len(self._data) // 2 * 2
        return np.frombuffer(bytes(self._data[:whole]), "<i2").astype(np.int64)

    def wait(self, condition: Callable[[Recording], bool], seconds: float = 20) -> Recording:
        """What was recorded when `condition` first held for it."""
        with self._grown:
            assert self._grown.wait_for(lambda: condition(self.samples), seconds), "nothing came"
            return self.samples

    def wait_for_silence(self, seconds: float = 0.2) -> Recording:
        """Wait until something was heard and then nothing for so long."""
        silent = round(seconds * RATE)
        return self.wait(lambda s: bool(s.any()) and s.size > silent and not s[-silent:].any())

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join()


def with_timeout(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait so long for an end that should not come."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return
    raise RuntimeError(f"the server ended with status {process.returncode}")
