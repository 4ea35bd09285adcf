"""Resident memory of the daemon without a model, and of daemon and worker with one."""

from __future__ import annotations

from typing import Final

from bench.effort import Effort
from bench.figures import Figure, Findings
from bench.home import home, kokoro_missing
from bench.machine import rss_bytes
from bench.texts import LONG
from cosyd.client.sync import Client

TARGET_MB: Final = 40.0
VOICE: Final = "af_heart"


def measure(effort: Effort) -> Findings:
    """In MB of 10^6 bytes."""
    with home() as found, found.connect() as client:
        findings = Findings([_daemon(client, "without a model", TARGET_MB)])
        if why := kokoro_missing():
            findings.skipped["memory with Kokoro"] = why
            return findings
        client.load(voice=VOICE)
        findings.figures.append(_worker(client, "Kokoro loaded"))
        for _ in range(effort.times(3, 1)):
            for _frame in client.say(LONG, voice=VOICE):
                pass
        findings.figures.append(_worker(client, "Kokoro after a long text"))
        findings.figures.append(_daemon(client, "after a long text"))
    return findings


def _daemon(client: Client, when: str, limit: float | None = None) -> Figure:
    return _resident(f"daemon, {when}", client.hello.pid, limit)


def _worker(client: Client, when: str) -> Figure:
    (model,) = client.status()["models"]
    return _resident(f"worker, {when}", model["pid"])


def _resident(name: str, pid: int, limit: float | None = None) -> Figure:
    return Figure("memory", f"{name}, RSS", rss_bytes(pid) / 1e6, "MB", limit)
