"""Which numbers each part computes in on this processor.

What is fastest here, as measured (`docs/benchmarks.md` has the figures): the language model reads
all its weights for every token, so a quarter of the bytes is nearly a quarter of the time. The
flow computes more than it reads: bfloat16 helps where the processor multiplies it, and only
there. Nothing is timed at load, so that the same machine always makes the same sound.
"""

from __future__ import annotations

import logging
from typing import Final, NamedTuple, Protocol

import torch

_LOG: Final = logging.getLogger("cosyd.cosyvoice2")


class Precision(NamedTuple):
    """Types of the weights."""

    lm: torch.dtype
    """`torch.int8`: the matrices; everything between them is float32."""
    flow: torch.dtype


class Processor(Protocol):
    """What the processor can do."""

    def int8(self) -> bool:
        """Whether torch has fast products of an int8 matrix and a few rows for it."""

    def bf16(self) -> bool:
        """Whether it multiplies bfloat16 itself."""


class TorchProcessor:
    """What torch finds."""

    def int8(self) -> bool:
        """See `Processor`: the kernels are of FBGEMM, for x86 from AVX2 on."""
        wide = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
        return wide and "fbgemm" in torch.backends.quantized.supported_engines

    def bf16(self) -> bool:
        """See `Processor`: AVX-512 BF16 or AMX."""
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


ASKED: Final = {
    "fp32": Precision(torch.float32, torch.float32),
    "bf16": Precision(torch.bfloat16, torch.bfloat16),
    "int8": Precision(torch.int8, torch.float32),
}
"""What each setting means on the processor, apart from "auto"."""


def on_cpu(asked: str, processor: Processor | None = None) -> Precision:
    """The numbers for a setting: "auto" is what is fastest here.

    Raises:
        KeyError: it is none of "auto" and `ASKED`.
    """
    if asked != "auto":
        return ASKED[asked]
    processor = processor or TorchProcessor()
    bf16 = processor.bf16()
    lm = torch.int8 if processor.int8() else torch.bfloat16 if bf16 else torch.float32
    chosen = Precision(lm, torch.bfloat16 if bf16 else torch.float32)
    _LOG.info("precision auto: language model %s, flow %s", chosen.lm, chosen.flow)
    return chosen
