"""How much memory the NVIDIA driver calls free, through NVML; nothing where there is none."""

from __future__ import annotations

import ctypes
import os
from typing import Final

_NAMES: Final = ("libnvidia-ml.so.1", "libnvidia-ml.so")


class _Memory(ctypes.Structure):
    """NVML's `nvmlMemory_t`."""

    _fields_ = (
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    )


def vram_free_bytes(device: str) -> int | None:
    """Free bytes of a GPU; None without NVIDIA's driver, or if it does not say.

    `device` as models name theirs ("cuda:1"). NVML is left again at once: who stays in it keeps
    the driver awake.
    """
    library = _library()
    if library is None or library.nvmlInit_v2() != 0:
        return None
    try:
        return _free(library, physical(device, os.environ.get("CUDA_VISIBLE_DEVICES", "")))
    finally:
        library.nvmlShutdown()


def physical(device: str, visible: str) -> str:
    """What the driver calls a device: a number or a UUID. `visible`: CUDA_VISIBLE_DEVICES."""
    _, _, index = device.partition(":")
    number = int(index) if index.isdigit() else 0
    shown = [name.strip() for name in visible.split(",") if name.strip()]
    return shown[number] if number < len(shown) else str(number)


def _library() -> ctypes.CDLL | None:
    for name in _NAMES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def _free(library: ctypes.CDLL, name: str) -> int | None:
    handle, memory = ctypes.c_void_p(), _Memory()
    if name.isdigit():
        failed = library.nvmlDeviceGetHandleByIndex_v2(int(name), ctypes.byref(handle))
    else:
        failed = library.nvmlDeviceGetHandleByUUID(name.encode(), ctypes.byref(handle))
    if failed or library.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)):
        return None
    return int(memory.free)
