"""Where the model computes and in which numbers.

The vocoder computes in float32 everywhere: it is 4 % of the weights, and its exponential and its
phases turn rounding into hiss. Language model and flow are limited by memory, so half as many
bytes is nearly twice as fast: bfloat16 where the card has it (no overflow), else float16.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

import torch

from cosyd.engines.base import Settings
from cosyd.engines.cosyvoice2.precision import on_cpu
from cosyd.errors import ModelLoadFailed

_PRECISIONS: Final = {
    "cpu": {"fp32": torch.float32, "bf16": torch.bfloat16, "int8": torch.int8},
    "cuda": {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16},
    "mps": {"fp32": torch.float32, "fp16": torch.float16},
}
"""Kind of device → what may be asked there. On the CPU float16 would be slower than float32."""
_BFLOAT16_SINCE: Final = 8
"""The compute capability's major number from which a card multiplies bfloat16."""


class Device(NamedTuple):
    """Where and how."""

    device: torch.device
    lm: torch.dtype
    """Of the language model; `torch.int8`: its matrices, everything else float32."""
    flow: torch.dtype
    vocoder: torch.dtype = torch.float32

    @property
    def name(self) -> str:
        """As in the engine's `device`: "cpu", "cuda:0", "mps"."""
        return str(self.device)

    @property
    def on_cuda(self) -> bool:
        """Whether there are graphs and streams."""
        return self.device.type == "cuda"


class Hardware(Protocol):
    """What the machine has."""

    def cards(self) -> Sequence[str]:
        """Names of the CUDA devices, in order."""

    def capability(self, index: int) -> int:
        """The major compute capability of one of them."""

    def mps(self) -> bool:
        """Whether Apple's GPU is there and computes."""


class TorchHardware:
    """What torch finds."""

    def cards(self) -> Sequence[str]:
        """See `Hardware`."""
        if not torch.cuda.is_available():
            return ()
        count = torch.cuda.device_count()
        return [torch.cuda.get_device_name(index) for index in range(count)]

    def capability(self, index: int) -> int:
        """See `Hardware`."""
        return torch.cuda.get_device_capability(index)[0]

    def mps(self) -> bool:
        """See `Hardware`."""
        if not torch.backends.mps.is_available():
            return False
        try:
            return float(torch.ones(2, device="mps").sum()) == 2
        except RuntimeError:  # there, but of no use (a virtual machine)
            return False


def choose(settings: Settings, hardware: Hardware | None = None) -> Device:
    """The device and the numbers that the settings ask for.

    Raises:
        ModelLoadFailed: there is no such device, or it cannot compute in these numbers; the
            message names what there is.
    """
    hardware = hardware or TorchHardware()
    device = _device(settings.device, hardware)
    if device.type == "cpu":
        return _on_cpu(device, settings.precision)
    best = _best(device, hardware)
    dtype = best if settings.precision == "auto" else _asked(device.type, settings.precision)
    if dtype == torch.bfloat16 != best:
        raise ModelLoadFailed(f"{device} has no bfloat16: set precision to fp16, or to auto.")
    return Device(device, dtype, dtype)


def prepare(device: Device) -> None:
    """Set what torch has for the whole process."""
    if device.on_cuda:
        # The vocoder's convolutions would otherwise be rounded to 10 bits, to little gain.
        torch.backends.cudnn.allow_tf32 = False


def generator(device: torch.device, seed: int) -> torch.Generator:
    """Draws on a CUDA device itself: a second of the vocoder's noise is a quarter of a million."""
    return torch.Generator(device if device.type == "cuda" else "cpu").manual_seed(seed)


def _on_cpu(device: torch.device, precision: str) -> Device:
    if precision != "auto":
        _asked("cpu", precision)
    return Device(device, *on_cpu(precision))


def _best(device: torch.device, hardware: Hardware) -> torch.dtype:
    if device.type == "mps":
        return torch.float32  # never run by us in float16: the safe one
    new = hardware.capability(device.index) >= _BFLOAT16_SINCE
    return torch.bfloat16 if new else torch.float16


def _asked(kind: str, precision: str) -> torch.dtype:
    known = _PRECISIONS[kind]
    if precision not in known:
        there = ", ".join(known)
        raise ModelLoadFailed(
            f"precision {precision!r} does not go with {kind}: set it to auto, {there}."
        )
    return known[precision]


def _device(name: str, hardware: Hardware) -> torch.device:
    """The device of that name; "auto" is the best there is."""
    cards = hardware.cards() if name == "auto" or name.startswith("cuda") else ()
    if name == "auto":
        if cards:
            return torch.device("cuda", 0)
        return torch.device("mps" if hardware.mps() else "cpu")
    if name == "cpu" or (name == "mps" and hardware.mps()):
        return torch.device(name)
    kind, _, digits = name.partition(":")
    index = int(digits) if digits.isdecimal() else 0 if name == "cuda" else -1
    if kind == "cuda" and 0 <= index < len(cards):
        return torch.device("cuda", index)
    raise ModelLoadFailed(f"no device {name!r} here: set device to auto, {_there(hardware)}.")


def _there(hardware: Hardware) -> str:
    """What may be asked for, in words."""
    cards = [f"cuda:{index} ({name})" for index, name in enumerate(hardware.cards())]
    return ", ".join(["cpu", *(["mps"] if hardware.mps() else []), *cards])
