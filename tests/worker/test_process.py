"""The real worker process with the tone engine, driven over its link as the daemon drives it."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cosyd.link.orders import check_report, decoder, pack

PACKS = Path(__file__).parents[1] / "voicepacks" / "tone"
GUARD_S = 30.0


class Link:
    """The daemon's end of a link to a real worker."""

    def __init__(self, model: str = "tone") -> None:
        self.sock, theirs = socket.socketpair()
        self.sock.settimeout(GUARD_S)
        with theirs:
            command = [sys.executable, "-P", "-m", "cosyd.worker", "--engine", "tone"]
            command += ["--model", model, "--data-dir", "/nowhere"]
            command += ["--link-fd", str(theirs.fileno()), "--nice", "5"]
            self.process = subprocess.Popen(
                command, pass_fds=(theirs.fileno(),), stdout=subprocess.PIPE
            )
        self._incoming = decoder()

    def order(self, kind: str, **fields: Any) -> None:
        self.sock.sendall(pack(kind, **fields))

    def speak(self, stream: int, text: str, **fields: Any) -> None:
        asked = {
            "voice": str(PACKS / "tone"),
            "final": True,
            "speed": 1.0,
            "volume": 1.0,
            "loudness": None,
            "sample_rate": 24000,
            "encoding": "s16le",
            "priority": 0,
            "credit_samples": 10**7,
        }
        self.order("speak", stream=stream, text=text, **(asked | fields))

    def report(self) -> dict[str, Any]:
        while (message := self._incoming.next_message()) is None:
            data = self.sock.recv(65536)
            assert data, "the worker hung up"
            self._incoming.feed(data)
        return {"type": message["type"], **check_report(message)}

    def until(self, kind: str, stream: int | None = None) -> list[dict[str, Any]]:
        """Reports up to the first of a type (and stream)."""
        seen = [self.report()]
        while seen[-1]["type"] != kind or stream not in (None, seen[-1]["stream"]):
            seen.append(self.report())
        return seen


@pytest.fixture
def link() -> Iterator[Link]:
    made = Link()
    assert made.report()["type"] == "ready"
    yield made
    made.sock.close()
    made.process.wait(GUARD_S)


def test_speaks(link: Link) -> None:
    link.speak(1, "One two. Three.")
    seen = link.until("done")
    samples = sum(len(report["pcm"]) // 2 for report in seen if report["type"] == "chunk")
    assert samples == seen[-1]["samples"] == 3 * 2400
    assert [(r["start"], r["end"]) for r in seen if r["type"] == "sentence"] == [(0, 8), (9, 15)]


def test_streams_take_turns(link: Link) -> None:
    link.speak(1, "a. " * 50, instruct="slow_ms=5")
    link.speak(2, "b. ", instruct="slow_ms=5")
    seen = link.until("done", 2)
    assert all(report["type"] != "done" or report["stream"] == 2 for report in seen)


def test_cancel_interrupts_a_running_step_and_the_next_is_served(link: Link) -> None:
    link.speak(1, "Never.", instruct="slow_ms=600000")
    link.order("probe")
    link.order("cancel", stream=1)
    assert link.until("halted")[-1]["stream"] == 1
    link.speak(2, "Again.")
    assert link.until("done")[-1]["stream"] == 2


def test_no_credit_no_audio_and_a_probe_is_answered(link: Link) -> None:
    link.speak(1, "Hello.", credit_samples=0)
    assert link.report()["type"] == "sentence"
    link.order("probe")
    assert link.report()["type"] == "alive"
    link.order("credit", stream=1, samples=100)
    assert len(link.report()["pcm"]) == 200


def test_text_arrives_piece_by_piece(link: Link) -> None:
    link.speak(1, "", final=False)
    link.order("text", stream=1, text="One. Tw", final=False, flush=False)
    assert link.until("sentence")[-1]["end"] == 4
    link.order("text", stream=1, text="o", final=False, flush=True)
    assert link.until("sentence")[-1]["end"] == 8
    link.order("text", stream=1, text="", final=True, flush=False)
    assert link.until("done")[-1]["samples"] == 2 * 2400


@pytest.mark.parametrize(
    ("text", "fields", "code"),
    [
        ("...", {}, "empty_text"),
        ("A. B.", {"instruct": "fail_after=1"}, "internal"),
        ("A. B.", {"instruct": "nan_after=1"}, "internal"),
        ("A.", {"instruct": "no_such_knob=1"}, "bad_request"),
        ("A.", {"prompt": "happy"}, "voice_not_found"),
        ("A.", {"voice": "/nowhere"}, "voice_not_found"),  # removed while it waited for its turn
    ],
)
def test_failures_have_codes_and_others_go_on(
    link: Link, text: str, fields: dict[str, Any], code: str
) -> None:
    link.speak(1, text, **fields)
    assert link.until("failed")[-1]["code"] == code
    link.speak(2, "Still here.")
    assert link.until("done")[-1]["stream"] == 2


def test_ends_at_once_when_the_daemon_is_gone_even_within_a_step() -> None:
    link = Link()
    link.report()
    link.speak(1, "x.", instruct="busy_ms=600000")
    link.sock.close()
    assert link.process.wait(GUARD_S) == 0


@pytest.mark.parametrize("model", ["tone-broken"])
def test_failed_load_is_told(model: str) -> None:
    link = Link(model)
    report = link.report()
    assert report["type"] == "load_failed" and report["code"] == "model_load_failed"
    assert "pitch" in report["message"] and link.process.wait(GUARD_S) == 1


def test_what_libraries_print_does_not_reach_the_link_or_stdout(link: Link) -> None:
    link.sock.shutdown(socket.SHUT_RDWR)
    out, _ = link.process.communicate(timeout=GUARD_S)
    assert out == b""
