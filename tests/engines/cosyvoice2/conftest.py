"""What the tests of the wave share: the small recorded model, on one thread."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from cosyd.engines.cosyvoice2 import release, wave
from cosyd.engines.cosyvoice2.hift import HiftSizes
from cosyd.engines.cosyvoice2.source import Source
from cosyd.engines.cosyvoice2.wave import Vocoder
from tests.engines.cosyvoice2.pieces import CPU, GOLDEN


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny matrices: threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def opened() -> release.Release:
    return release.Release(GOLDEN)


@pytest.fixture(scope="module")
def tensors(opened: release.Release) -> dict[str, Tensor]:
    return opened.hift()


@pytest.fixture(scope="module")
def vocoder(opened: release.Release, tensors: dict[str, Tensor]) -> Vocoder:
    sizes = HiftSizes.read(opened.settings)
    return wave.load(tensors, sizes, device=CPU, dtype=torch.float32)


@pytest.fixture(scope="module")
def mel() -> Tensor:
    """float32 [1, 80, 120]: what the flow made of random tokens."""
    with np.load(GOLDEN / "t2w_nonstream.npz") as arrays:
        return torch.from_numpy(arrays["call0.flow_mel"])[..., :120]


@pytest.fixture
def plain_pitch(monkeypatch: pytest.MonkeyPatch) -> None:
    """An f0 that is the same to the last bit however it is cut: voiced here, unvoiced there."""

    def f0(_: Source, mel: Tensor) -> Tensor:
        return (mel[:, 3] * 60).abs()

    monkeypatch.setattr(Source, "f0", f0)
