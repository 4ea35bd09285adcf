"""Loading a release, or why there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cosyd.engines.base import Settings
from cosyd.engines.cosyvoice2 import load, random_release
from cosyd.errors import EngineNotInstalled, ModelLoadFailed, ModelNotFound, OutOfMemory
from tests.engines.cosyvoice2 import packs


def _settings(folder: Path) -> Settings:
    return Settings(folder, "cpu", "fp32")


# loading -----------------------------------------------------------------------------------


def test_absent_weights_say_how_to_fetch_them(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"cosy pull cosyvoice2$"):
        load.load(packs.MODEL, _settings(tmp_path))
    (tmp_path / "models" / packs.MODEL).mkdir(parents=True)
    with pytest.raises(ModelNotFound, match=r"llm\.pt.*cosy pull cosyvoice2$"):
        load.load(packs.MODEL, _settings(tmp_path))


def test_another_model(tiny: Path) -> None:
    with pytest.raises(ModelNotFound, match="CosyVoice9"):
        load.load("CosyVoice9", _settings(tiny))


def test_missing_packages_are_named(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "missing", lambda _: ["torchaudio"])
    with pytest.raises(EngineNotInstalled, match=r"torchaudio missing: pip install 'cosyd\["):
        load.load(packs.MODEL, _settings(tiny))


@pytest.fixture
def spoilt(tmp_path: Path) -> Path:
    random_release.write(tmp_path / "models" / packs.MODEL, random_release.TINY)
    return tmp_path


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_numbers_in_the_weights(spoilt: Path, value: float) -> None:
    path = spoilt / "models" / packs.MODEL / "flow.pt"
    tensors = torch.load(path, weights_only=True)
    tensors["encoder_proj.weight"][3, 4] = value
    torch.save(tensors, path)
    with pytest.raises(ModelLoadFailed, match=r"flow\.pt: encoder_proj\.weight .*cosy pull"):
        load.load(packs.MODEL, _settings(spoilt))


def test_a_truncated_file(spoilt: Path) -> None:
    path = spoilt / "models" / packs.MODEL / "llm.pt"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ModelLoadFailed, match=r"llm\.pt: truncated.*cosy pull cosyvoice2$"):
        load.load(packs.MODEL, _settings(spoilt))


def test_no_memory_to_load(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 GB")

    monkeypatch.setattr(load, "_model", lacking)
    with pytest.raises(OutOfMemory, match="unload another model"):
        load.load(packs.MODEL, _settings(tiny))
