"""Asking NVIDIA's driver, with a library in its place that notes what it was asked."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from cosyd.daemon import gpu


@pytest.mark.parametrize(
    ("device", "visible", "name"),
    [
        ("cuda:0", "", "0"),
        ("cuda:1", "", "1"),
        ("cuda", "", "0"),
        ("cuda:1", "3, 5", "5"),
        ("cuda:0", "GPU-8932f937", "GPU-8932f937"),
        ("cuda:2", "3,5", "2"),
    ],
)
def test_what_the_driver_calls_a_device(device: str, visible: str, name: str) -> None:
    assert gpu.physical(device, visible) == name


class Library:
    """As much of NVML as is used. Fails where it is told to."""

    def __init__(self, fails: str = "") -> None:
        self.fails = fails
        self.calls: list[str] = []

    def _call(self, name: str) -> int:
        self.calls.append(name)
        return 1 if name == self.fails else 0

    def nvmlInit_v2(self) -> int:
        return self._call("init")

    def nvmlShutdown(self) -> int:
        return self._call("shutdown")

    def nvmlDeviceGetHandleByIndex_v2(self, index: int, _handle: Any) -> int:
        return self._call(f"device {index}")

    def nvmlDeviceGetHandleByUUID(self, uuid: bytes, _handle: Any) -> int:
        return self._call(f"device {uuid.decode()}")

    def nvmlDeviceGetMemoryInfo(self, _handle: Any, memory: Any) -> int:
        memory._obj.total, memory._obj.free = 80_000, 70_000
        return self._call("memory")


def asked(monkeypatch: pytest.MonkeyPatch, library: Library | None) -> int | None:
    monkeypatch.setattr(gpu, "_library", lambda: library)
    return gpu.vram_free_bytes("cuda:0")


def test_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    library = Library()
    assert asked(monkeypatch, library) == 70_000
    assert library.calls == ["init", "device 1", "memory", "shutdown"]


def test_by_uuid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-1")
    library = Library()
    assert asked(monkeypatch, library) == 70_000
    assert library.calls[1] == "device GPU-1"


@pytest.mark.parametrize("fails", ["init", "device 0", "memory"])
def test_a_driver_that_does_not_say(monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    library = Library(fails)
    assert asked(monkeypatch, library) is None
    assert library.calls[-1] == ("init" if fails == "init" else "shutdown")


def test_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, None) is None


def test_the_structure_is_three_whole_numbers() -> None:
    assert ctypes.sizeof(gpu._Memory) == 24
