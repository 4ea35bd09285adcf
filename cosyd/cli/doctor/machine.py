"""Checks of the machine: Python, packages, GPU, disk."""

from __future__ import annotations

import json
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from cosyd.cli.doctor.finding import Finding, Patient
from cosyd.cli.human import size
from cosyd.engines.registry import find, missing, names
from cosyd.paths import data_dir, log_file

CORE: Final = {
    **{name: name for name in ("msgpack", "uvloop", "click", "platformdirs", "numpy", "soxr")},
    "yaml": "pyyaml",
    "sounddevice": "sounddevice",
    "soundfile": "soundfile",
}
"""Import name → package of what cosyd itself needs."""
TORCH_S: Final = 40.0
"""Importing torch takes 2 s on a quick machine and much longer on a busy one."""
ROOM_BYTES: Final = 500_000_000
LITTLE_ROOM_BYTES: Final = 50_000_000
BIG_LOG_BYTES: Final = 200_000_000


def python(_patient: Patient) -> Iterator[Finding]:
    """The interpreter; that it is new enough shows in that we run."""
    yield Finding("ok", f"Python {platform.python_version()}, {sys.executable}")


def packages(_patient: Patient) -> Iterator[Finding]:
    """What cosyd and its engines import."""
    lost = [package for name, package in CORE.items() if find_spec(name) is None]
    if lost:
        yield Finding("bad", f"missing: {', '.join(lost)}", "pip install --force-reinstall cosyd")
    else:
        yield Finding("ok", "cosyd has all packages it needs itself")
    speaking = 0
    for name in names():
        engine = find(name)
        assert engine is not None
        absent = missing(engine)
        speaking += not absent and name != "tone"  # tone is no voice
        if absent:
            yield Finding("warn", f"engine {name}: not installed ({absent[0]} …)", engine.install)
        else:
            yield Finding("ok", f"engine {name}: installed")
    if not speaking:
        yield Finding("bad", "no engine that speaks is installed", "pip install 'cosyd[kokoro]'")


NVML: Final = """
import ctypes, json
lib = ctypes.CDLL("libnvidia-ml.so.1")
def ask(name, *arguments):
    if getattr(lib, name)(*arguments):
        raise SystemExit(1)
class Memory(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in ("total", "free", "used")]
ask("nvmlInit_v2")
version, count = ctypes.create_string_buffer(96), ctypes.c_uint()
ask("nvmlSystemGetDriverVersion", version, 96)
ask("nvmlDeviceGetCount_v2", ctypes.byref(count))
cards = []
for number in range(count.value):
    card, name, memory = ctypes.c_void_p(), ctypes.create_string_buffer(96), Memory()
    ask("nvmlDeviceGetHandleByIndex_v2", number, ctypes.byref(card))
    ask("nvmlDeviceGetName", card, name, 96)
    ask("nvmlDeviceGetMemoryInfo", card, ctypes.byref(memory))
    cards.append({"name": name.value.decode(), "total": memory.total, "free": memory.free})
print(json.dumps({"driver": version.value.decode(), "cards": cards}))
"""
"""A driver that is broken may hang whoever asks it, so another process does."""

TORCH: Final = """
import torch
print(torch.__version__, torch.cuda.is_available())
"""
PROVIDERS: Final = """
import onnxruntime
print(*onnxruntime.get_available_providers())
"""


def gpu(patient: Patient) -> Iterator[Finding]:
    """The card, its driver, and whether what computes can use it."""
    asked = patient.python(NVML, 10.0)
    cards = json.loads(asked.out)["cards"] if asked.code == 0 else []
    if cards:
        driver = json.loads(asked.out)["driver"]
        for card in cards:
            free = f"{size(card['free'])} of {size(card['total'])} free"
            yield Finding("ok", f"{card['name']}, driver {driver}, {free}")
    elif asked.code is None:
        yield Finding("bad", "the GPU's driver does not answer", "run nvidia-smi, else reboot")
    elif patient.which("nvidia-smi") is not None:
        yield Finding(
            "warn", "the NVIDIA driver is installed and finds no GPU", "run nvidia-smi to see why"
        )
    else:
        yield Finding("ok", "no NVIDIA GPU: engines compute on the CPU")
    yield from _torch(patient, bool(cards))
    yield from _onnxruntime(patient)


def _torch(patient: Patient, has_card: bool) -> Iterator[Finding]:
    if find_spec("torch") is None:
        return
    asked = patient.python(TORCH, TORCH_S)
    version, _, usable = asked.out.strip().partition(" ")
    if asked.code is None:
        yield Finding("warn", f"torch: not imported within {TORCH_S:.0f} s", "try again when idle")
    elif asked.code != 0:
        yield Finding("bad", "torch cannot be imported", "pip install --force-reinstall torch")
    elif has_card and usable != "True":
        yield Finding(
            "warn",
            f"torch {version} cannot use the GPU",
            "install a torch built for this driver: https://pytorch.org/get-started/locally",
        )
    else:
        yield Finding("ok", f"torch {version}{' with CUDA' if usable == 'True' else ''}")


def _onnxruntime(patient: Patient) -> Iterator[Finding]:
    if find_spec("onnxruntime") is None:
        return
    asked = patient.python(PROVIDERS, 20.0)
    providers = [name.removesuffix("ExecutionProvider") for name in asked.out.split()]
    if asked.code == 0:
        yield Finding("ok", f"onnxruntime with {', '.join(providers)}")
    else:
        yield Finding("bad", "onnxruntime cannot be imported", "pip install 'cosyd[kokoro]'")


def disk(patient: Patient) -> Iterator[Finding]:
    """Room where models live, and the log's size."""
    place = data_dir(patient.config)
    there = next(path for path in (place, *place.parents) if path.exists())
    free = shutil.disk_usage(there).free
    what = f"{size(free)} free at {place}"
    if free < ROOM_BYTES:
        yield Finding(
            "bad" if free < LITTLE_ROOM_BYTES else "warn",
            what,
            "make room, or let the setting data_dir name another disk",
        )
    else:
        yield Finding("ok", what)
    log = Path(log_file(patient.config))
    if log.exists() and log.stat().st_size > BIG_LOG_BYTES:
        yield Finding("warn", f"{log} has {size(log.stat().st_size)}", f"truncate -s 0 {log}")
