"""Checks of what plays: PortAudio, player programs, the sound server."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cosyd.audio.pipeplayer import PROGRAMS
from cosyd.audio.player import install_hint
from cosyd.cli.doctor.finding import Finding, Patient

DEVICES: Final = """
import json
from cosyd.audio.player import NoSound, list_devices
try:
    print(json.dumps({"devices": [str(device) for device in list_devices()]}))
except NoSound as error:
    print(json.dumps({"why": str(error.__cause__ or error)}))
"""
"""A sound server that hangs would hang us too, so another process asks."""
SERVER_S: Final = 2.0


def devices(patient: Patient) -> Iterator[Finding]:
    """What PortAudio finds, else which programs could play instead."""
    asked = patient.python(DEVICES, 15.0)
    told = json.loads(asked.out) if asked.code == 0 else {"why": "PortAudio does not answer"}
    programs = [program.name for program in PROGRAMS if patient.which(program.name)]
    if names := told.get("devices"):
        default = next((name for name in names if name.startswith("*")), names[0])
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield Finding("ok", f"PortAudio plays on {default.lstrip('* ')}{more}")
    elif programs and any(_reachable(path) for _, path, _ in _servers(patient)):
        yield Finding("ok", f"{told['why']}: {programs[0]} plays instead")
    elif programs:
        yield Finding(
            "warn",
            f"{told['why']}, and no sound server for {programs[0]}",
            "connect a device or start PipeWire; files work: cosy say -o",
        )
    else:
        do = f"{install_hint(patient.platform).removeprefix('try: ')}; files work: cosy say -o"
        yield Finding("warn", f"nothing can play here: {told['why']}", do)


def server(patient: Patient) -> Iterator[Finding]:
    """Whether the desktop's sound server can be reached, where there should be one."""
    for name, path, named in _servers(patient):
        if _reachable(path):
            yield Finding("ok", f"{name} answers at {path}")
        elif named or path.exists():
            yield Finding(
                "warn", f"{name} does not answer at {path}", "log in again, or unset PULSE_SERVER"
            )


def _servers(patient: Patient) -> Iterator[tuple[str, Path, bool]]:
    """Name, socket, and whether the user named it."""
    if patient.platform != "linux":
        return
    asked = patient.env.get("PULSE_SERVER", "")
    if asked.startswith(("unix:", "/")):
        yield "PulseAudio", Path(asked.removeprefix("unix:")), True
    elif not asked and (runtime := patient.env.get("XDG_RUNTIME_DIR")):
        yield "PulseAudio", Path(runtime) / "pulse" / "native", False
    if runtime := patient.env.get("XDG_RUNTIME_DIR"):
        yield "PipeWire", Path(runtime) / "pipewire-0", False


def _reachable(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(SERVER_S)
        try:
            probe.connect(os.fspath(path))
        except OSError:
            return False
    return True
