"""`cosy config` as a process, and a daemon whose settings stand in the file."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cosyd.config import Config
from cosyd.settings import SETTINGS

ROOT = Path(__file__).parents[2]


class Place:
    """A home with a config directory of its own and no variable of ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "config" / "cosyd" / "config.toml"
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "PYTHONPATH": str(ROOT),
            "PULSE_SERVER": "unix:/nonexistent",
        }
        if sys.platform != "linux":
            self.env["COSYD_CONFIG"] = str(self.file)

    def write(self, text: str) -> None:
        """Let the file be `text`."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(text)

    def __call__(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `cosy`."""
        return self.python("-m", "cosyd.cli", *arguments, **env)

    def python(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run Python."""
        return subprocess.run(
            [sys.executable, *arguments],
            env={**self.env, **env},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def place() -> Iterator[Place]:
    """A fresh one, with a short path; a daemon that runs there is ended."""
    with tempfile.TemporaryDirectory(prefix="cosy", dir="/tmp") as folder:
        found = Place(Path(folder))
        found.write("")
        yield found
        found("daemon", "stop", "--now")


def test_show_is_a_file_that_says_the_same(place: Place) -> None:
    done = place("config", "show")
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tomllib.loads(done.stdout)) == [setting.key for setting in SETTINGS]
    place.write(done.stdout)
    assert place("config", "show").stdout == done.stdout
    shown = json.loads(place("config", "show", "--json").stdout)
    assert shown == json.loads(json.dumps(Config()._asdict()))


def test_show_says_where_each_value_comes_from(place: Place) -> None:
    place.write('# mine\nvoice = "x"\nkeep_alive_s = 7\n')
    done = place("config", "show", "--origin", COSYD_KEEP_ALIVE="1h")
    lines = {line.split(" = ")[0]: line for line in done.stdout.splitlines()}
    assert lines["voice"].split() == ["voice", "=", '"x"', "#", f"{place.file}:2"]
    assert lines["keep_alive"].split()[2:] == ['"1h"', "#", "COSYD_KEEP_ALIVE"]
    assert lines["device"].endswith("# default")
    as_json = json.loads(place("config", "show", "--origin", "--json").stdout)
    assert as_json["voice"] == {"value": "x", "origin": "file", "where": f"{place.file}:2"}
    assert as_json["keep_alive_s"]["value"] == 7
    assert as_json["device"]["origin"] == "default"


def test_set_get_unset(place: Place) -> None:
    place.file.unlink()
    place.file.parent.rmdir()
    done = place("config", "set", "keep_alive", "10m")
    assert (done.returncode, done.stderr) == (0, "")
    assert str(place.file) in done.stdout and "`cosy daemon reload`" in done.stdout
    assert place.file.read_text() == 'keep_alive = "10m"\n'
    assert place("config", "get", "keep_alive").stdout == "10m\n"
    assert place("config", "get", "keep_alive_s").stdout == "600\n"
    assert place("config", "set", "keep_alive", "-1").returncode == 0
    assert place("config", "get", "keep_alive").stdout == "-1\n"
    assert place("config", "set", "preload", "a", "b,c").returncode == 0
    assert place("config", "get", "preload").stdout == "a\nb\nc\n"
    assert "`cosy daemon restart`" in place("config", "set", "socket", "/x").stdout
    assert "Taken out" in place("config", "unset", "keep_alive_s").stdout
    assert place("config", "unset", "keep_alive").stdout == (
        f"keep_alive is not set in {place.file}.\n"
    )
    assert place("config", "get", "keep_alive").stdout == "5m\n"
    assert place("config", "path").stdout == f"{place.file}\n"


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["set", "voise", "x"], 2, "did you mean voice?"),
        (["get", "xyzzy"], 2, "`cosy config show` lists all"),
        (["set", "keep_alive", "soon"], 2, 'a duration such as "90s", "5m" or "2h", not "soon"'),
        (["unset", "voise"], 2, "did you mean voice?"),
        (["set", "voice"], 2, "`cosy config set --help`"),
        (["shwo"], 2, "cosy config --help"),
    ],
)
def test_mistakes_are_told_in_one_line(
    place: Place, arguments: list[str], code: int, told: str
) -> None:
    done = place("config", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("cosy: ") and done.stderr.count("\n") == 1
    assert told in done.stderr
    assert place.file.read_text() == ""


def test_what_wins_over_the_file_is_told(place: Place) -> None:
    done = place("config", "set", "voice", "x", COSYD_VOICE="y")
    assert done.returncode == 0
    assert "COSYD_VOICE is set and wins over the file" in done.stderr


def test_a_mistake_elsewhere_does_not_keep_one_from_being_mended(place: Place) -> None:
    place.write('voise = "x"\nmax_queued = "many"\n')
    done = place("config", "set", "max_queued", "7")
    assert done.returncode == 0 and f'{place.file}:1: no setting is called "voise"' in done.stderr
    assert place("config", "unset", "voise").stderr == ""
    assert place.file.read_text() == "max_queued = 7\n"


@pytest.mark.parametrize("text", ["voise = 'x'\n", "voice = \n", "max_queued = 'many'\n"])
def test_a_broken_file_is_one_line_for_everybody(place: Place, text: str) -> None:
    place.write(text)
    for arguments in (["say", "Hello", "-o", "-"], ["status"], ["daemon", "start"],
                      ["say", "--no-daemon", "Hello", "-o", "-"], ["config", "show"],
                      ["voices"]):  # fmt: skip
        done = place(*arguments)
        assert (done.returncode, done.stdout) == (1, ""), arguments
        assert done.stderr.startswith(f"cosy: {place.file}:1: "), arguments
        assert "`cosy config " in done.stderr and done.stderr.count("\n") == 1
    daemon = place.python("-P", "-m", "cosyd.daemon")
    assert daemon.returncode == 1
    assert daemon.stderr.startswith(f"cosyd: {place.file}:1: ") and daemon.stderr.count("\n") == 1
    assert "`cosy config " in daemon.stderr


def test_no_file_by_wish(place: Place) -> None:
    place.write("voice = \n")
    assert place("config", "get", "voice", COSYD_CONFIG="-").stdout == "af_heart\n"
    done = place("config", "path", COSYD_CONFIG="-")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    missing = place("status", COSYD_CONFIG="/nonexistent/c.toml")
    assert missing.returncode == 1 and "does not exist" in missing.stderr


def editor(place: Place, script: str) -> str:
    """An editor that does what `script` says to "$1"."""
    path = place.folder / "my editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return f"'{path}'"


def test_edit_begins_with_all_settings_and_leaves_nothing_unasked(place: Place) -> None:
    place.file.unlink()
    seen = place.folder / "seen"
    done = place("config", "edit", VISUAL=editor(place, f'cat "$1" > {seen}'), EDITOR="false")
    assert (done.returncode, done.stderr) == (0, "")
    assert not place.file.exists()
    text = seen.read_text()
    assert tomllib.loads(text) == {}
    lines = [line.removeprefix("# ") for line in text.splitlines() if " = " in line]
    defaults = {s.key: s.show(Config._field_defaults[s.name]) for s in SETTINGS}
    assert tomllib.loads("\n".join(lines)) == defaults


def test_edit_checks_and_keeps(place: Place) -> None:
    good = place("config", "edit", EDITOR=editor(place, 'echo \'voice = "x"\' >> "$1"'))
    assert (good.returncode, good.stderr) == (0, "")
    assert f"{place.file} is good." in good.stdout
    bad = place("config", "edit", EDITOR=editor(place, "echo 'voice' >> \"$1\""))
    assert bad.returncode == 1 and bad.stderr.startswith(f"cosy: {place.file}:2: ")
    assert place.file.read_text() == 'voice = "x"\nvoice\n'


@pytest.mark.parametrize(
    ("command", "told"),
    [("false", "false ended with code 1"), ("/nonexistent/vi", "cannot start /nonexistent/vi")],
)
def test_edit_without_an_editor_that_works(place: Place, command: str, told: str) -> None:
    done = place("config", "edit", EDITOR=command)
    assert done.returncode == 1 and told in done.stderr and done.stderr.count("\n") == 1
    assert place("config", "edit", PATH="/nonexistent").returncode == 1


@pytest.mark.parametrize(("answer", "code"), [("n\n", 1), ("\n", 0)])
def test_edit_asks_whoever_is_there(place: Place, answer: str, code: int) -> None:
    """The editor writes nonsense the first time and mends it the second time."""
    script = 'if grep -q \'^voice$\' "$1"; then : > "$1"; else echo voice > "$1"; fi'
    command = [sys.executable, "-m", "cosyd.cli", "config", "edit"]
    master, slave = pty.openpty()
    env = {**place.env, "EDITOR": editor(place, script)}
    with subprocess.Popen(command, env=env, stdin=slave, stderr=subprocess.PIPE, stdout=-3) as run:
        os.write(master, answer.encode())
        _, told = run.communicate(timeout=60)
    os.close(master)
    os.close(slave)
    assert run.returncode == code
    assert b"Edit again? [Y/n]" in told and f"{place.file}:1: ".encode() in told
    assert place.file.read_text() == ("" if code == 0 else "voice\n")


def test_names_and_values_are_completed(place: Place) -> None:
    def completed(words: str) -> set[str]:
        env = {"_COSY_COMPLETE": "bash_complete", "COMP_WORDS": f"cosy config {words}"}
        done = place(**env, COMP_CWORD=str(len(words.split(" ")) + 1))
        return {line.partition(",")[2] for line in done.stdout.splitlines()} - {""}

    assert completed("get keep") == {"keep_alive"}
    assert completed("set ") == {setting.key for setting in SETTINGS}
    assert completed("set log_format ") == {"text", "json"}
    assert completed("set voice ") == set()


def test_a_daemon_from_the_file_and_clients_that_find_it(place: Place) -> None:
    socket, log = place.folder / "own" / "s", place.folder / "own.log"
    place.write(
        f'''socket = "{socket}"
log_file = "{log}"
log_format = "json"
data_dir = "~/data"
voicepacks = ["{ROOT}/tests/voicepacks"]
voice = "tone"
voice_zh = "tone"
idle_timeout = "60s"
keep_alive = "2h"
'''
    )
    out = place.folder / "out.wav"
    done = place("say", "Hello there.", "-o", str(out))
    assert (done.returncode, done.stderr) == (0, "") and out.stat().st_size > 44
    status = json.loads(place("status", "--json").stdout)
    assert status["running"] and 7100 < status["models"][0]["expires_in_s"] <= 7200
    assert socket.exists()
    code = "import cosyd; print(cosyd.connect(autostart=False).hello.pid)"
    library = place.python("-c", code)
    assert library.stdout.strip() == str(status["pid"]), library.stderr
    reload_takes_the_file(place, status["pid"])
    assert place("daemon", "stop").returncode == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert status["pid"] in {line["process"] for line in lines}
    assert all(line["ts"].endswith("Z") and line["logger"].startswith("cosyd") for line in lines)
    assert not (place.folder / "run" / "cosyd").exists()


def reload_takes_the_file(place: Place, pid: int) -> None:
    """SIGHUP: the daemon takes what `cosy config set` wrote, and no nonsense."""
    assert place("config", "set", "keep_alive", "1h").returncode == 0
    os.kill(pid, signal.SIGHUP)
    place("say", "Hello again.", "-o", "/dev/null")
    model: dict[str, Any] = json.loads(place("status", "--json").stdout)["models"][0]
    assert 3500 < model["expires_in_s"] <= 3600


def test_the_daemon_takes_every_setting_as_a_flag(place: Place) -> None:
    shown = place.python("-m", "cosyd.daemon", "--help").stdout
    assert all(f"{setting.flag} " in shown for setting in SETTINGS)
    wrong = place.python("-m", "cosyd.daemon", "--idle-timeout", "soon")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("cosyd: --idle-timeout must be a duration")


@pytest.mark.parametrize(
    ("text", "loaded"), [('voice = "x" # plain\n', False), ("voice='x'", True)]
)
def test_a_plain_file_costs_no_import(place: Place, text: str, loaded: bool) -> None:
    place.write(text)
    code = "import os, sys; from cosyd import config, paths; "
    code += "config.load(os.environ, file=paths.config_file(os.environ)); "
    code += "print('tomllib' in sys.modules, 'tomlkit' in sys.modules)"
    assert place.python("-c", code).stdout == f"{loaded} False\n"
