"""A release's checkpoint: read with nothing executed, its weight norm folded away."""

from __future__ import annotations

import errno
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from cosyd.engines.cosyvoice2.layout import PULL
from cosyd.errors import ModelLoadFailed, ModelNotFound

_SPELLINGS: Final = (
    (".parametrizations.weight.original0", ".parametrizations.weight.original1"),
    (".weight_g", ".weight_v"),
)
"""How a weight's norm and direction are called: by today's torch and by the one before."""

_TRUNCATED: Final = "{}: truncated or no checkpoint: cosy pull cosyvoice2"
_UNREADABLE: Final = (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError)


def load(path: Path) -> object:
    """What a .pt file holds, its tensors mapped into memory rather than read.

    Args:
        path: a file of `torch.save`; only tensors and plain containers may be in it.

    Raises:
        ModelNotFound: there is no such file.
        ModelLoadFailed: it is truncated, is no such file, or holds objects that would run code.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except FileNotFoundError as error:
        raise ModelNotFound(f"{path}: not there: {PULL}") from error
    except OSError as error:
        if error.errno == errno.EINVAL:  # a seek to where the whole file would go on
            raise ModelLoadFailed(_TRUNCATED.format(path)) from error
        raise ModelLoadFailed(f"{path}: {error.strerror}: mend that, or {PULL}") from error
    except _UNREADABLE as error:
        raise ModelLoadFailed(_TRUNCATED.format(path)) from error


def _is_zip(path: Path) -> bool:
    """Whether the file is of torch 1.6 or later; older ones cannot be mapped."""
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def tensors(path: Path) -> dict[str, Tensor]:
    """The named tensors of a checkpoint. Raises as `load`, and for anything but tensors in it."""
    state = load(path)
    if not isinstance(state, Mapping) or not state:
        raise ModelLoadFailed(f"{path}: no named tensors in it: {PULL}")
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise ModelLoadFailed(f"{path}: {name} is no tensor: the file is of another model.")
        if not tensor.is_floating_point():
            raise ModelLoadFailed(f"{path}: {name} holds {tensor.dtype}: {PULL}")
    return dict(state)


def check_numbers(state: Mapping[str, Tensor], file: str) -> None:
    """Look for what is no number; done once, when a checkpoint is converted.

    Raises:
        ModelLoadFailed: a tensor holds NaN or infinity.
    """
    for name, tensor in state.items():
        # Nearly always the sum tells, in one pass and no memory; else it is looked at closely.
        if not tensor.sum().isfinite() and not tensor.isfinite().all():
            raise ModelLoadFailed(f"{file}: {name} holds values that are no numbers: {PULL}")


def strip_generator(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same without the `generator.` that training leaves before a vocoder's names."""
    return {name.removeprefix("generator."): tensor for name, tensor in state.items()}


def fold_weight_norm(state: Mapping[str, Tensor], file: str) -> dict[str, Tensor]:
    """Multiply each weight's norm into its direction, as torch does.

    Args:
        state: names with `….parametrizations.weight.original0/1` or `….weight_g/v`, or neither.
        file: the checkpoint, for messages.

    Returns:
        The same with one `….weight` for each pair; what has no weight norm is the same tensor.

    Raises:
        ModelLoadFailed: one of a pair is missing, or their shapes do not belong together.
    """
    folded = dict(state)
    for norm_suffix, direction_suffix in _SPELLINGS:
        for module in sorted(_modules(folded, norm_suffix) | _modules(folded, direction_suffix)):
            pair = module + norm_suffix, module + direction_suffix
            for name in pair:
                if name not in folded:
                    raise ModelLoadFailed(f"{file}: no tensor {name}: {PULL}")
            norm, direction = (folded.pop(name) for name in pair)
            if f"{module}.weight" in folded:
                raise ModelLoadFailed(f"{file}: {module} has two weights: {PULL}")
            folded[f"{module}.weight"] = _weight(norm, direction, f"{file}: {pair[0]}")
    return folded


def _modules(state: Mapping[str, Tensor], suffix: str) -> set[str]:
    return {name.removesuffix(suffix) for name in state if name.endswith(suffix)}


def _weight(norm: Tensor, direction: Tensor, what: str) -> Tensor:
    wanted = [*direction.shape[:1], *[1] * (direction.dim() - 1)]
    if direction.dim() < 2 or list(norm.shape) != wanted:
        raise ModelLoadFailed(
            f"{what} has shape {list(norm.shape)}, not {wanted}; the file is of another model."
        )
    with torch.no_grad():
        return torch._weight_norm(direction, norm, 0)
