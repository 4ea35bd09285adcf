"""The real `cosy pull`, against a web server here that breaks off, stalls and lies.

What is published is patched to a few small files; everything else is as users run it.
"""

from __future__ import annotations

import hashlib
import json
import os
import pty
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import cosyd.engines.cosyvoice2.pull as release
from tests.engines.cosyvoice2.fileserver import Script, serving

ROOT = Path(__file__).parents[2]
BIG = random.Random(0).randbytes(700_000)
CONTENT = {"deep/big.pt": BIG, "small.yaml": b"sample_rate: 24000\n"}
FILES = [(path, len(data), hashlib.sha256(data).hexdigest()) for path, data in CONTENT.items()]
PATHS = f"FunAudioLLM/{release.MODEL}/resolve/{release.REVISION}"

PROGRAM = """
import json, os, resource, sys
import cosyd.engines.cosyvoice2.pull as release
from cosyd.cli import main

release.FILES = tuple(release.File(*each) for each in json.loads(os.environ["TEST_FILES"]))
if limit := os.environ.get("TEST_FILE_LIMIT"):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
sys.exit(main(sys.argv[1:]))
"""


class Puller:
    """Runs `cosy pull` with a data directory of its own."""

    def __init__(self, home: Path) -> None:
        self.data = home / "data"
        self.folder = self.data / "models" / release.MODEL
        self._env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PYTHONPATH": str(ROOT),
            "COSYD_DATA_DIR": str(self.data),
            "TEST_FILES": json.dumps(FILES),
        }

    def start(self, *arguments: str, env: dict[str, str] | None = None, **how: Any) -> Any:
        """The running process."""
        command = [sys.executable, "-c", PROGRAM, "pull", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env={**self._env, **(env or {})}, **{**pipes, **how})

    def __call__(
        self, *arguments: str, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end."""
        with self.start(*arguments, env=env) as process:
            try:
                out, err = process.communicate(timeout=60)
            finally:
                process.kill()
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def there(self) -> dict[str, bytes]:
        """All files but the lock."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and path.name != ".pull.lock"
        }


@pytest.fixture
def puller(tmp_path: Path) -> Puller:
    return Puller(tmp_path)


@pytest.fixture
def script() -> Script:
    """What the server does; a test changes it."""
    return Script({f"{PATHS}/{path}": data for path, data in CONTENT.items()})


@pytest.fixture
def url(script: Script) -> Iterator[str]:
    """Its address."""
    with serving(script) as source:
        yield source.url.removesuffix("/{path}")


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """A release on this machine."""
    folder = tmp_path / "given"
    for path, data in CONTENT.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def one_line(done: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """The only line of a command that failed."""
    assert (done.returncode, done.stdout) == (code, "")
    *progress, line = done.stderr.splitlines()
    assert all(" is done, " in each for each in progress)
    assert line.startswith("cosy: ")
    return line


def test_what_can_be_fetched_is_listed(puller: Puller) -> None:
    assert puller().stdout.splitlines() == [
        "cosyvoice2  CosyVoice2-0.5B  700 kB  not here",
        "next: cosy pull cosyvoice2",
    ]
    (puller.folder / "deep").mkdir(parents=True)
    (puller.folder / "deep/big.pt.part").write_bytes(BIG[:350_000])
    assert "50% here" in puller().stdout
    (model,) = json.loads(puller("--json").stdout)["models"]
    assert model == {
        "name": "cosyvoice2",
        "model": "CosyVoice2-0.5B",
        "path": str(puller.folder),
        "bytes": 700_019,
        "present_bytes": 350_000,
        "complete": False,
        "license": "Apache-2.0",
    }


@pytest.mark.parametrize("name", ["cosyvoice2", "CosyVoice2-0.5B", "COSYVOICE2"])
def test_fetched_and_then_here(puller: Puller, script: Script, url: str, name: str) -> None:
    done = puller(name, "--mirror", url + "/")
    assert done.returncode == 0, done.stderr
    assert puller.there() == CONTENT
    first, step = done.stdout.splitlines()
    assert first == f"CosyVoice2-0.5B is here: {puller.folder}"
    assert step.startswith("next: ")
    assert puller().stdout == "cosyvoice2  CosyVoice2-0.5B  700 kB  here\n"
    asked = len(script.asked)
    assert puller(name, "--mirror", url).returncode == 0
    assert len(script.asked) == asked


def test_a_connection_that_drops_half_way_is_taken_up(
    puller: Puller, script: Script, url: str
) -> None:
    script.breaks = [200_000, 300_000]
    assert puller("cosyvoice2", "--mirror", url).returncode == 0
    assert puller.there() == CONTENT
    ranges = [wanted for path, wanted in script.asked if path.endswith("big.pt")]
    assert ranges == [None, "bytes=200000-", "bytes=500000-"]


def test_a_wrong_checksum_is_not_put_in_place(puller: Puller, script: Script, url: str) -> None:
    script.content[f"{PATHS}/deep/big.pt"] = BIG[:-1] + b"x"
    line = one_line(puller("cosyvoice2", "--mirror", url))
    assert "deep/big.pt not fetched" in line and "not the published file" in line
    assert puller.there() == {}


def test_a_full_disk_keeps_what_came(puller: Puller, script: Script, url: str) -> None:
    """The system refuses to let files grow, as it does when the disk is full."""
    line = one_line(puller("cosyvoice2", "--mirror", url, env={"TEST_FILE_LIMIT": "300000"}))
    assert "File too large: mend that and fetch again, it goes on from there" in line
    kept = puller.there()["deep/big.pt.part"]
    assert 0 < len(kept) <= 300_000
    assert puller("cosyvoice2", "--mirror", url).returncode == 0
    assert script.asked[1] == (f"{PATHS}/deep/big.pt", f"bytes={len(kept)}-")
    assert puller.there() == CONTENT


def test_a_disk_without_room_is_told_before_anything_is_fetched(
    puller: Puller, script: Script, url: str
) -> None:
    huge = json.dumps([("huge.pt", 1 << 60, "0")])
    line = one_line(puller("cosyvoice2", "--mirror", url, env={"TEST_FILES": huge}))
    assert "MiB needed" in line and "make space or set COSYD_DATA_DIR" in line
    assert script.asked == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_and_taken_up(
    puller: Puller, script: Script, url: str, until: Callable[..., None], number: int
) -> None:
    script.breaks, script.go_on = [200_000], threading.Event()
    part = puller.folder / "deep/big.pt.part"
    with puller.start("cosyvoice2", "--mirror", url) as process:
        until(lambda: script.asked and part.exists())
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    script.go_on.set()
    assert (process.returncode, out) == (128 + number, "")
    assert (
        err == "cosy: stopped; what has come is kept: type `cosy pull cosyvoice2` again to go on\n"
    )
    kept = len(puller.there().get("deep/big.pt.part", b""))
    assert puller("cosyvoice2", "--mirror", url).returncode == 0
    assert script.asked[1][1] == (f"bytes={kept}-" if kept else None)
    assert puller.there() == CONTENT


def test_two_at_once_do_not_mix(
    puller: Puller, script: Script, url: str, until: Callable[..., None]
) -> None:
    script.breaks, script.go_on = [200_000], threading.Event()
    with puller.start("cosyvoice2", "--mirror", url) as first:
        until(lambda: script.asked)
        assert "is being fetched already" in one_line(puller("cosyvoice2", "--mirror", url))
        script.go_on.set()
        assert first.wait(60) == 0
    assert puller.there() == CONTENT


def test_from_a_folder(puller: Puller, given: Path) -> None:
    done = puller("cosyvoice2", "--from", str(given), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["complete"] is True
    assert puller.there() == CONTENT


def test_from_a_folder_with_another_model(puller: Puller, given: Path) -> None:
    (given / "small.yaml").write_bytes(b"mine")
    assert "not the published file" in one_line(puller("cosyvoice2", "--from", str(given)))
    assert puller("cosyvoice2", "--from", str(given), "--any").returncode == 0
    assert puller.there()["small.yaml"] == b"mine"
    assert puller().stdout.split()[-1] == "here"


def test_voices_inside_the_weights_that_are_broken_harm_nothing(
    puller: Puller, given: Path
) -> None:
    """Reading them takes torch; where that is not installed they are left alone."""
    (given / "spk2info.pt").write_bytes(b"no voices")
    done = puller("cosyvoice2", "--from", str(given))
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith("next: ")
    if "pip install" not in done.stdout:
        assert done.stderr.splitlines()[-1].startswith("cosy: the voices in spk2info.pt cannot be")


def test_a_terminal_sees_a_bar(puller: Puller, url: str) -> None:
    ours, theirs = pty.openpty()
    env = {"TERM": "xterm"}
    with puller.start("cosyvoice2", "--mirror", url, stderr=theirs, env=env) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # EIO: the other end is closed
            while data := os.read(ours, 4096):
                shown += data
        assert process.wait(30) == 0
    os.close(ours)
    assert "small.yaml  [####################]  100% of 700 kB" in shown.decode()
    assert shown.endswith(b"\r\x1b[K")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["kokoro"], 2, "no model 'kokoro' can be fetched: type `cosy pull cosyvoice2`"),
        (["cosyvoice2", "--mirror", "hf-mirror.com"], 2, "must be an address"),
        (["cosyvoice2", "--mirror", "file:///etc"], 2, "must be an address"),
        (["cosyvoice2", "--any"], 2, "--any goes with --from"),
        (["cosyvoice2", "--source", "moon"], 2, "type `cosy pull --help`"),
        (["cosyvoice2", "--from", "/nowhere"], 1, "/nowhere: no deep/big.pt, small.yaml there"),
    ],
)
def test_mistakes_are_told_in_one_line(
    puller: Puller, arguments: list[str], code: int, told: str
) -> None:
    assert told in one_line(puller(*arguments), code)


def test_it_loads_neither_numpy_nor_torch() -> None:
    code = "import sys, cosyd.cli.pull; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "torch", "asyncio"} & set(done.stdout.split())
