"""What "auto" makes of which processor, and how near the rougher numbers are."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from cosyd.engines.cosyvoice2 import flow, release
from cosyd.engines.cosyvoice2.causal import attend, mask_of
from cosyd.engines.cosyvoice2.flow import FlowSizes
from cosyd.engines.cosyvoice2.flow_stream import FlowStream
from cosyd.engines.cosyvoice2.precision import ASKED, Precision, TorchProcessor, on_cpu

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "cosyvoice2"
MEL: Final = 0.02
"""Root mean square error of a mel in bfloat16 over the mel's standard deviation."""
ATTENTION: Final = 0.02
"""Of bfloat16 numbers about 1: 8 bits of mantissa, and the weights are rounded, too."""
F32, BF16, INT8 = torch.float32, torch.bfloat16, torch.int8


@dataclass(frozen=True)
class Has:
    """A processor."""

    quick_int8: bool
    quick_bf16: bool

    def int8(self) -> bool:
        return self.quick_int8

    def bf16(self) -> bool:
        return self.quick_bf16


@pytest.mark.parametrize(
    ("processor", "wanted"),
    [
        (Has(True, True), Precision(INT8, BF16)),
        (Has(True, False), Precision(INT8, F32)),
        (Has(False, True), Precision(BF16, BF16)),
        (Has(False, False), Precision(F32, F32)),
    ],
)
def test_auto_is_what_is_fastest_there(
    processor: Has, wanted: Precision, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert on_cpu("auto", processor) == wanted
    assert str(wanted.lm) in caplog.text


@pytest.mark.parametrize("asked", sorted(ASKED))
def test_what_is_asked_for_is_used_whatever_the_processor(asked: str) -> None:
    assert on_cpu(asked, Has(False, False)) == on_cpu(asked, Has(True, True)) == ASKED[asked]


def test_nothing_else_may_be_asked_for() -> None:
    with pytest.raises(KeyError):
        on_cpu("fp16")


def test_this_processor_is_told() -> None:
    found = on_cpu("auto")
    assert (found.lm == INT8) == TorchProcessor().int8()
    assert (found.flow == BF16) == TorchProcessor().bf16()


def test_the_flow_in_bfloat16_is_near() -> None:
    torch.set_num_threads(1)
    opened = release.read_settings(GOLDEN)
    tensors = torch.load(GOLDEN / "flow.pt", weights_only=True)
    sizes, cpu = FlowSizes.read(opened), torch.device("cpu")
    random = torch.Generator().manual_seed(0)
    tokens = torch.randint(sizes.vocabulary, (1, 60), generator=random)
    prompt = torch.randn(1, 120, sizes.estimator.mel, generator=random)
    speaker = torch.randn(1, sizes.speaker, generator=random)
    mels = []
    for dtype in (F32, BF16):
        network = flow.load(tensors, sizes, device=cpu, dtype=dtype)
        voice = network.prompt(tokens, prompt, speaker, warm=False)
        mels.append(network.whole(voice, tokens[0].tolist(), chunked=True))
    exact, rough = mels
    assert rough.dtype == F32
    assert (rough - exact).square().mean().sqrt() < MEL * exact.std()


def test_streamed_in_bfloat16_as_in_one_go() -> None:
    torch.set_num_threads(1)
    tensors = torch.load(GOLDEN / "flow.pt", weights_only=True)
    sizes = FlowSizes.read(release.read_settings(GOLDEN))
    network = flow.load(tensors, sizes, device=torch.device("cpu"), dtype=BF16)
    assert network.cfm.cache().hidden
    random = torch.Generator().manual_seed(0)
    tokens = torch.randint(sizes.vocabulary, (1, 90), generator=random)
    prompt = torch.randn(1, 60, sizes.estimator.mel, generator=random)
    voice = network.prompt(tokens[:, :30], prompt, torch.ones(1, sizes.speaker))
    speech = tokens[0].tolist()
    stream = FlowStream(network, voice)
    stream.push(speech)
    mels = []
    while stream.ready:
        mels.append(stream.step())
    whole = network.whole(voice, speech, chunked=True)
    streamed = torch.cat([*mels, stream.finish()], dim=2)
    assert (streamed - whole).square().mean().sqrt() < MEL * whole.std()


@pytest.mark.parametrize("masked", [False, True])
def test_attention_as_products_is_near_the_exact_one(masked: bool) -> None:
    random = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 3, rows, 16, generator=random).bfloat16() for rows in (10, 30, 30))
    seen = torch.rand(10, 30, generator=random) < 0.7
    mask = mask_of(seen, torch.bfloat16) if masked else None
    wanted = scaled_dot_product_attention(
        q.double(), k.double(), v.double(), attn_mask=seen if masked else None
    )
    assert (attend(q, k, v, mask).double() - wanted).abs().max() < ATTENTION
