"""What the tests of the wave share: the small recorded model, on one thread."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from cosyd.engines.base import Settings
from cosyd.engines.cosyvoice2 import load, random_release, release, wave
from cosyd.engines.cosyvoice2.engine import CosyVoice2Engine
from cosyd.engines.cosyvoice2.hift import HiftSizes
from cosyd.engines.cosyvoice2.source import Source
from cosyd.engines.cosyvoice2.wave import Vocoder
from cosyd.voices.voicepack import Voicepack
from tests.engines.cosyvoice2 import packs
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


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a release of a few MB in its `models`."""
    folder = tmp_path_factory.mktemp("data")
    random_release.write(folder / "models" / "CosyVoice2-0.5B", random_release.TINY)
    return folder


@pytest.fixture(scope="module")
def engine(tiny: Path) -> CosyVoice2Engine:
    """A tiny release's engine on the CPU, warmed up."""
    made = load.load(packs.MODEL, Settings(tiny, "cpu", "fp32"))
    torch.set_num_threads(1)
    made.warm_up()
    return made


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Voicepack:
    """A voice of the release."""
    return packs.voice(packs.of_release(tmp_path_factory.mktemp("packs")))


@pytest.fixture(scope="module")
def ada(tmp_path_factory: pytest.TempPathFactory) -> Voicepack:
    """A cloned voice."""
    return packs.voice(packs.cloned(tmp_path_factory.mktemp("packs")))
