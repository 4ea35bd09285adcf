"""Mels and sounds in pieces."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from cosyd.engines.cosyvoice2.wave import Stream, Vocoder

GOLDEN = Path(__file__).parents[2] / "golden" / "cosyvoice2"
CPU = torch.device("cpu")
SCALE = 480


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pieces(mel: Tensor, cuts: Sequence[int]) -> Iterator[tuple[Tensor, bool]]:
    """Each piece, and whether it is the last."""
    ends = itertools.accumulate(cuts)
    for index, (count, end) in enumerate(zip(cuts, ends, strict=True)):
        yield mel[..., end - count : end], index == len(cuts) - 1


def streamed(vocoder: Vocoder, mel: Tensor, cuts: Sequence[int]) -> list[Tensor]:
    stream = Stream(vocoder, seeded())
    return [stream.push(piece, final=final) for piece, final in pieces(mel, cuts)]


def far(a: Tensor, b: Tensor) -> float:
    assert a.shape == b.shape
    return float((a - b).abs().max()) if a.numel() else 0.0
