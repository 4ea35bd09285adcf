"""Matrices of 8-bit weights on the processor, multiplied with nearly exact activations.

Each row of a matrix has a scale of its own. Activations are not simply rounded to 8 bits, too: a
single large one (they are known from Qwen2) would leave nothing of the others. Each row of them is
written as a coarse part and 1/126 of a fine one, 7 bits each, and both are multiplied in one call:
the weights, for which memory is waited, are read once. 7 bits, since without VNNI the kernels add
two products in 16 bits.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

# Torch means to drop the type in which weights are handed to the packing, with no other way yet.
warnings.filterwarnings("ignore", "torch.quantize_per_tensor", UserWarning)

_WEIGHT_STEPS: Final = 127
_STEPS: Final = 63
"""Of a part, on each side of 0."""
_FINER: Final = 2 * _STEPS
"""The fine part's steps in one of the coarse part's: it is at most half a step."""
_ZERO: Final = _STEPS + 1
"""What stands for 0 in the kernel's unsigned numbers."""
_TINY: Final = 1e-30
"""Keeps the scale of a row of zeros above 0."""


class Rounded(NamedTuple):
    """A matrix rounded to 8 bits."""

    steps: Tensor
    """int8 [out, in]"""
    scale: Tensor
    """float32 [out]: weight = scale · steps."""


def rounded(weight: Tensor) -> Rounded:
    """Round a matrix [out, in], each row by its largest weight."""
    wide = weight.float()
    scale = (wide.abs().amax(1) / _WEIGHT_STEPS).clamp_(min=_TINY)
    return Rounded((wide / scale[:, None]).round_().to(torch.int8), scale)


class Matrix:
    """One that is packed for the kernels; immutable.

    Args:
        parts: with the same number of columns, one below the other.
    """

    __slots__ = ("_packed", "_rows")

    def __init__(self, parts: Sequence[Rounded]) -> None:
        steps = torch.cat([part.steps for part in parts])
        scale = torch.cat([part.scale for part in parts])
        zero = torch.zeros(len(scale), dtype=torch.int64)
        made = torch._make_per_channel_quantized_tensor(steps, scale, zero, 0)
        self._packed: Any = torch.ops.quantized.linear_prepack(made, None)  # torch has no type
        self._rows = len(scale)

    def __len__(self) -> int:
        """Width of the result."""
        return self._rows

    def __call__(self, x: Tensor) -> Tensor:
        """float32 [n, in] → float32 [n, out]; rows do not depend on each other."""
        scale = x.abs().amax(-1, keepdim=True).clamp_(min=_TINY)
        scale /= _STEPS
        steps = x / scale
        coarse = steps.round()
        fine = steps.sub_(coarse).mul_(_FINER)
        product: Tensor = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
            torch.cat((coarse, fine)), 1.0, _ZERO, self._packed
        )
        count = len(x)
        return torch.add(product[:count], product[count:], alpha=1 / _FINER).mul_(scale)
