"""`cosy metrics`, and the socket of a real daemon."""

from __future__ import annotations

import socket
from typing import Any

import pytest


def test_without_a_daemon_there_is_one_zero(fresh: Any) -> None:
    told = fresh("metrics")
    assert (told.returncode, told.stderr) == (0, b"")
    assert told.stdout.endswith(b"\ncosyd_up 0\n")
    assert fresh.status() == {"running": False}


def test_what_was_spoken_is_counted(cosy: Any) -> None:
    assert cosy("say", "-o", "-", "Hello.").returncode == 0
    assert cosy("say", "-o", "-", "-v", "nobody", "Hello.").returncode == 1
    lines = cosy("metrics").stdout.decode().splitlines()
    assert "cosyd_up 1" in lines
    assert 'cosyd_utterances_ended_total{outcome="finished",code=""} 1' in lines
    assert 'cosyd_utterances_ended_total{outcome="failed",code="voice_not_found"} 1' in lines
    assert 'cosyd_model_loads_total{model="tone",start="cold"} 1' in lines
    assert 'cosyd_ttfa_seconds_count{start="cold"} 1' in lines
    assert "cosyd_real_time_factor_count 1" in lines


def test_the_socket_answers_as_long_as_the_daemon_lives(
    fresh: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fresh.home / "m"
    monkeypatch.setitem(fresh.env, "COSYD_METRICS_SOCKET", str(path))
    assert fresh("say", "-o", "-", "Hello.").returncode == 0
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(path))
        answer = b"".join(iter(lambda: client.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.0 200 OK\r\n")
    assert b"\ncosyd_utterances_said_total 1\n" in answer
    assert fresh("daemon", "stop").returncode == 0
    assert not path.exists()
