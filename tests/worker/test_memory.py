"""What the status says of a worker's memory, with and without a card."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from cosyd.worker.memory import memory


def _torch(*, cards: list[int], initialized: bool = True, apple: int | None = None) -> object:
    return SimpleNamespace(
        cuda=SimpleNamespace(
            is_initialized=lambda: initialized,
            device_count=lambda: len(cards),
            memory_reserved=lambda card: cards[card],
        ),
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: apple is not None)),
        mps=SimpleNamespace(driver_allocated_memory=lambda: apple),
    )


def test_resident_memory_is_told() -> None:
    assert 1e6 < (memory()["rss_bytes"] or 0) < 1e11


@pytest.mark.parametrize(
    ("torch", "told"),
    [
        (None, None),
        (_torch(cards=[5, 7]), 12),
        (_torch(cards=[5], initialized=False), None),
        (_torch(cards=[], initialized=False, apple=9), 9),
        (_torch(cards=[], initialized=False, apple=0), None),
    ],
)
def test_vram_is_what_torch_holds(
    monkeypatch: pytest.MonkeyPatch, torch: object, told: int | None
) -> None:
    if torch is None:
        monkeypatch.delitem(sys.modules, "torch", raising=False)
    else:
        monkeypatch.setitem(sys.modules, "torch", torch)
    assert memory()["vram_bytes"] == told
