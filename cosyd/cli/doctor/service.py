"""Checks of systemd's units or launchd's agent, where they are installed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from cosyd.cli.doctor.finding import Finding, Patient
from cosyd.cli.placing import state
from cosyd.client.owner import SERVICE_UNIT, SOCKET_UNIT, unit_dir

ASK_S = 3.0


def units(patient: Patient) -> Iterator[Finding]:
    """Whether the units are there, enabled and loaded."""
    if patient.platform == "linux":
        yield from _systemd(patient)
    elif patient.platform == "darwin":
        yield from _launchd(patient)


def _systemd(patient: Patient) -> Iterator[Finding]:
    folder = Path(unit_dir(patient.env))
    there = [name for name in (SOCKET_UNIT, SERVICE_UNIT) if (folder / name).exists()]
    if not there:
        yield Finding("ok", "no systemd units: clients start the daemon (cosy install adds units)")
        return
    if len(there) == 1:
        yield Finding("bad", f"of the systemd units only {there[0]} is there", "cosy install")
        return
    if patient.which("systemctl") is None:
        yield Finding("warn", "units are installed and there is no systemctl", "cosy uninstall")
        return
    for name in there:
        if state(folder / name) == "foreign":
            yield Finding("ok", f"{name} was edited by hand, so cosy install leaves it alone")
    yield from _interpreter((folder / SERVICE_UNIT).read_text(encoding="utf-8", errors="replace"))
    enabled = patient.run(["systemctl", "--user", "is-enabled", SOCKET_UNIT], ASK_S)
    active = patient.run(["systemctl", "--user", "is-active", SOCKET_UNIT], ASK_S)
    if enabled.out.strip() != "enabled":
        yield Finding(
            "warn", f"{SOCKET_UNIT} is not enabled", f"systemctl --user enable --now {SOCKET_UNIT}"
        )
    elif active.out.strip() != "active":
        yield Finding(
            "warn", "systemd does not listen for cosyd", f"systemctl --user start {SOCKET_UNIT}"
        )
    else:
        yield Finding("ok", "systemd starts the daemon")
    yield from _linger(patient)


def _interpreter(unit: str) -> Iterator[Finding]:
    """Whether what the unit starts is still there: an installation may have been moved."""
    found = re.search(r'^ExecStart=(?:"([^"]+)"|(\S+))', unit, re.MULTILINE)
    python = (found[1] or found[2]).replace("%%", "%") if found else ""
    if not os.access(python, os.X_OK):
        yield Finding("bad", f"{SERVICE_UNIT} starts {python or 'nothing'}", "cosy install --force")


def _linger(patient: Patient) -> Iterator[Finding]:
    user = patient.env.get("USER", "")
    asked = patient.run(["loginctl", "show-user", user, "--property=Linger", "--value"], ASK_S)
    if asked.code == 0:
        lingers = asked.out.strip() == "yes"
        yield Finding(
            "ok",
            "it may run while nobody is logged in"
            if lingers
            else "it runs while you are logged in (loginctl enable-linger: always)",
        )


def _launchd(patient: Patient) -> Iterator[Finding]:
    agents = sorted((Path.home() / "Library" / "LaunchAgents").glob("*cosyd*.plist"))
    if not agents:
        yield Finding("ok", "no launchd agent: clients start the daemon (cosy install adds one)")
        return
    loaded = patient.run(["launchctl", "list", agents[0].stem], ASK_S)
    if loaded.code == 0:
        yield Finding("ok", f"launchd starts the daemon ({agents[0].stem})")
    else:
        yield Finding("warn", f"{agents[0]} is not loaded", "cosy install --launchd")
