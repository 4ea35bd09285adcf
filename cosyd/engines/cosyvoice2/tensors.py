"""A checkpoint's tensors, taken out one by one, so that none is missed and none is left over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from cosyd.engines.cosyvoice2.layout import PULL
from cosyd.errors import ModelLoadFailed

if TYPE_CHECKING:
    from torch import Tensor


class Row(NamedTuple):
    """One compared array of a self-check.

    Attributes:
        stage: the part that was run, such as "lm" or "estimator".
        array: the recorded array, as "file:name".
        error: the largest absolute difference; NaN or infinity when shapes differ.
        tolerance: the largest difference that is still right.
    """

    stage: str
    array: str
    error: float
    tolerance: float

    @property
    def good(self) -> bool:
        """Whether the error is within the tolerance (a NaN is not)."""
        return self.error <= self.tolerance


class Tensors:
    """A view on a checkpoint's tensors below a prefix; all views share what is still left.

    Args:
        file: the checkpoint's name, for messages.
        mapping: name -> tensor; copied (the dict, not the tensors), so the caller's is unchanged.
    """

    __slots__ = ("_left", "_prefix", "file")

    def __init__(self, file: str, mapping: Mapping[str, Tensor]) -> None:
        self.file = file
        self._prefix = ""
        self._left = dict(mapping)

    def take(self, name: str, shape: Sequence[int] | None = None) -> Tensor:
        """Take a tensor out.

        Args:
            name: its name below this view's prefix.
            shape: what its shape must be; -1 stands for any size, None for any shape.

        Raises:
            ModelLoadFailed: there is no such tensor (any more), or its shape is another.
        """
        full = self._prefix + name
        tensor = self._left.pop(full, None)
        if tensor is None:
            raise ModelLoadFailed(f"{self.file}: no tensor {full}: {PULL}")
        if shape is not None and not _fits(tensor.shape, shape):
            raise ModelLoadFailed(
                f"{self.file}: {full} has shape {list(tensor.shape)}, not {list(shape)}; "
                "the file is of another model."
            )
        return tensor

    def child(self, prefix: str) -> Tensors:
        """The tensors whose names start with `prefix` and a dot."""
        view = Tensors.__new__(Tensors)
        view.file = self.file
        view._prefix = f"{self._prefix}{prefix}."
        view._left = self._left
        return view

    def names(self) -> list[str]:
        """Names, below this view's prefix, that are not taken yet."""
        cut = len(self._prefix)
        return sorted(name[cut:] for name in self._left if name.startswith(self._prefix))

    def __contains__(self, name: str) -> bool:
        return self._prefix + name in self._left

    def done(self) -> None:
        """Say that everything below this view's prefix should have been taken.

        Raises:
            ModelLoadFailed: tensors are left over; the message names the first.
        """
        left = self.names()
        if left:
            more = f" and {len(left) - 1} more" if len(left) > 1 else ""
            raise ModelLoadFailed(
                f"{self.file}: unknown tensor {self._prefix}{left[0]}{more}; "
                "the file is of another model."
            )


def _fits(shape: Sequence[int], wanted: Sequence[int]) -> bool:
    return len(shape) == len(wanted) and all(
        w in (-1, s) for s, w in zip(shape, wanted, strict=True)
    )
