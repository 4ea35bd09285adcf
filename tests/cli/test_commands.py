"""The other commands, with a daemon and without one."""

from __future__ import annotations

import json
from typing import Any

import pytest


def test_voices_for_people_and_programs(cosy: Any) -> None:
    rows = cosy("voices").stdout.decode().splitlines()
    assert any(row.split()[:2] == ["tone", "en,zh"] for row in rows)
    voices = json.loads(cosy("voices", "--json").stdout)["voices"]
    assert {"name", "model", "languages", "license"} <= set(voices[0])
    assert len(voices) == len(rows)


def test_status_for_people_and_programs(cosy: Any) -> None:
    cosy("say", "Hello.", "-o", "-")
    status = cosy.status()
    assert status["running"] is True
    assert status["utterances"]["finished"] >= 1
    text = cosy("status").stdout.decode()
    assert f"process {status['pid']}" in text
    assert "speaking 0, waiting 0" in text
    assert "tone: ready on cpu" in text
    assert "unloads in" in text


def test_load_and_unload(cosy: Any) -> None:
    loaded = cosy("load", "tone")
    assert (loaded.returncode, loaded.stderr) == (0, b"")
    assert loaded.stdout.startswith(b"tone is ready")
    assert cosy("unload").stdout == b"Unloaded tone.\n"
    assert cosy("unload").stdout == b"No idle model is in memory.\n"
    assert cosy("load", "--model", "tone").returncode == 0
    assert cosy("unload", "tone").stdout == b"Unloaded tone.\n"


@pytest.mark.parametrize("arguments", [["load", "nobody"], ["unload", "nothing"]])
def test_unknown_names_fail_in_one_line(cosy: Any, arguments: list[str]) -> None:
    cosy("daemon", "start")
    done = cosy(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(b"cosy: ")
    assert done.stderr.count(b"\n") == 1


def test_without_a_daemon_none_is_started(fresh: Any) -> None:
    for command in ("status", "pause", "resume", "stop", "unload"):
        done = fresh(command)
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"not running" in done.stdout
    assert json.loads(fresh("status", "--json").stdout) == {"running": False}
    assert fresh("daemon", "stop").stdout == b"cosyd is not running.\n"
    status = fresh("daemon", "status")
    assert (status.returncode, status.stderr) == (3, b"")
    assert b"not running" in status.stdout
    assert not (fresh.home / "s").exists()


def test_daemon_start_restart_stop(fresh: Any) -> None:
    assert b"is running: process" in fresh("daemon", "start").stdout
    first = fresh.status()["pid"]
    assert fresh("daemon", "start").returncode == 0
    assert fresh.status()["pid"] == first
    assert fresh("daemon", "status").returncode == 0
    assert fresh("daemon", "restart").returncode == 0
    assert fresh.status()["pid"] != first
    assert fresh("daemon", "stop").stdout == b"Stopped cosyd.\n"
    assert fresh("daemon", "status").returncode == 3


def test_a_place_where_no_daemon_can_be_is_told_from_none_running(cosy: Any) -> None:
    done = cosy("status", env={"COSYD_SOCKET": "/dev/null/s"})
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"cannot connect to /dev/null/s" in done.stderr


def test_a_setting_that_is_no_number_is_named(cosy: Any) -> None:
    done = cosy("status", env={"COSYD_KEEP_ALIVE": "soon"})
    assert done.returncode == 1
    assert b"COSYD_KEEP_ALIVE" in done.stderr
    assert done.stderr.count(b"\n") == 1
