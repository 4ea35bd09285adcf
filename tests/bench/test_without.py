"""Every variant of the CosyVoice 2 benchmark speaks, on a tiny model with the real vocabularies."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch

from bench import cosyvoice2, forced, without
from cosyd.engines.cosyvoice2 import causal, cfm, estimator, random_release
from cosyd.engines.cosyvoice2.precision import TorchProcessor

TOKENS = 60
SIZES = replace(random_release.TINY, text_vocabulary=1100, speech_vocabulary=forced.END)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release")
    random_release.write(folder, SIZES)
    return folder


@pytest.fixture
def put_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """What leaving something out changes is as before afterwards."""
    monkeypatch.setattr(estimator, "attend", causal.attend)
    monkeypatch.setattr(cfm.Cfm, "cache", cfm.Cfm.cache)
    monkeypatch.setattr(causal.Loader, "fused", causal.Loader.fused)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with mock.patch.dict(os.environ):
        yield monkeypatch
    torch.set_num_threads(threads)


@pytest.mark.parametrize("variant", cosyvoice2.LEFT_OUT, ids=lambda variant: variant.name)
def test_it_speaks(
    release: Path,
    variant: cosyvoice2.Variant,
    put_back: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "int8" in variant.arguments and not TorchProcessor().int8():
        pytest.skip("this torch has no kernels for 8 bits on this processor")
    from bench import cosyvoice2_ours

    put_back.setattr(forced, "TOKENS", TOKENS)
    cosyvoice2_ours.main([str(release), *variant.arguments, "1"])
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    [request] = told["requests"]
    assert request["audio_s"] == pytest.approx(TOKENS / 25)
    assert 0 < request["first_s"] <= request["total_s"]


def test_all_that_can_be_left_out_is() -> None:
    asked = " ".join(" ".join(variant.arguments) for variant in cosyvoice2.LEFT_OUT)
    assert all(name in asked for name in without.NAMES)
