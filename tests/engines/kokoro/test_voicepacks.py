"""The voicepacks that come with cosyd."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cosyd.engines.kokoro import DESCRIPTOR
from cosyd.voices import voicepack

PACKS = Path(__file__).parents[3] / "voicepacks" / "kokoro"


@pytest.mark.parametrize(
    "path", sorted(p for p in PACKS.iterdir() if p.is_dir()), ids=lambda p: p.name
)
def test_a_pack_is_whole(path: Path) -> None:
    pack = voicepack.load(path)
    assert (pack.name, pack.engine, pack.model) == (path.name, "kokoro", "kokoro-82m")
    assert pack.sample_rate == 24_000 and pack.license == "Apache-2.0"
    assert pack.languages and pack.description
    assert set(pack.capabilities) <= set(DESCRIPTOR.capabilities)
    assert pack.loudness_lufs is not None and -30 < pack.loudness_lufs < -10
    with np.load(path / "style.npz", allow_pickle=False) as data:
        style = data["style"]
    assert style.shape == (510, 256) and style.dtype == np.float16
    assert np.isfinite(style).all()
    assert (path / "style.npz").stat().st_size < 250_000
