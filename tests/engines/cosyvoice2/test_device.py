"""Which device and which numbers the settings make of which machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from cosyd.engines.base import Settings
from cosyd.engines.cosyvoice2.device import Device, TorchHardware, choose, generator
from cosyd.engines.cosyvoice2.precision import on_cpu
from cosyd.errors import ModelLoadFailed


class Machine:
    """Any cards: names with their compute capability."""

    def __init__(self, *cards: tuple[str, int], mps: bool = False) -> None:
        self._cards = cards
        self._mps = mps

    def cards(self) -> Sequence[str]:
        return [name for name, _ in self._cards]

    def capability(self, index: int) -> int:
        return self._cards[index][1]

    def mps(self) -> bool:
        return self._mps


PLAIN = Machine()
OLD, NEW = ("Tesla T4", 7), ("NVIDIA H100", 9)


def _choose(device: str, precision: str, machine: Machine) -> Device:
    return choose(Settings(Path(), device, precision), machine)


@pytest.mark.parametrize(
    ("asked", "machine", "name"),
    [
        ("auto", PLAIN, "cpu"),
        ("auto", Machine(NEW), "cuda:0"),
        ("auto", Machine(mps=True), "mps"),
        ("cpu", Machine(NEW, mps=True), "cpu"),
        ("cuda", Machine(NEW, OLD), "cuda:0"),
        ("cuda:1", Machine(NEW, OLD), "cuda:1"),
        ("mps", Machine(mps=True), "mps"),
    ],
)
def test_the_device(asked: str, machine: Machine, name: str) -> None:
    chosen = _choose(asked, "auto", machine)
    assert chosen.name == name
    assert chosen.on_cuda == name.startswith("cuda")
    assert chosen.vocoder == torch.float32


@pytest.mark.parametrize(
    ("device", "precision", "machine", "dtype"),
    [
        ("cuda", "auto", Machine(NEW), torch.bfloat16),
        ("cuda", "auto", Machine(OLD), torch.float16),
        ("cuda:1", "auto", Machine(NEW, OLD), torch.float16),
        ("cuda", "fp16", Machine(NEW), torch.float16),
        ("cuda", "fp32", Machine(OLD), torch.float32),
        ("mps", "auto", Machine(mps=True), torch.float32),
        ("mps", "fp16", Machine(mps=True), torch.float16),
    ],
)
def test_the_numbers_on_a_gpu(
    device: str, precision: str, machine: Machine, dtype: torch.dtype
) -> None:
    chosen = _choose(device, precision, machine)
    assert (chosen.lm, chosen.flow) == (dtype, dtype)


@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16", "int8"])
def test_the_numbers_on_the_processor_are_its_own_matter(precision: str) -> None:
    chosen = _choose("cpu", precision, PLAIN)
    assert (chosen.lm, chosen.flow) == on_cpu(precision)


@pytest.mark.parametrize(
    ("device", "precision", "machine", "told"),
    [
        ("cuda", "auto", PLAIN, "no device 'cuda' here: set device to auto, cpu."),
        ("cuda:2", "auto", Machine(NEW), r"auto, cpu, cuda:0 \(NVIDIA H100\)\."),
        ("cuda:x", "auto", Machine(NEW), "no device 'cuda:x'"),
        ("cuda:-1", "auto", Machine(NEW), "no device"),
        ("tpu:0", "auto", Machine(NEW), "no device 'tpu:0'"),
        ("mps", "auto", PLAIN, "no device 'mps'"),
        ("", "auto", Machine(mps=True), "auto, cpu, mps"),
        ("cuda", "bf16", Machine(OLD), "cuda:0 has no bfloat16: set precision to fp16"),
        ("cuda", "int8", Machine(NEW), "'int8' does not go with cuda: set it to auto, fp32"),
        ("cpu", "fp16", PLAIN, "'fp16' does not go with cpu"),
        ("mps", "bf16", Machine(mps=True), "does not go with mps"),
    ],
)
def test_what_is_not_there_is_named(
    device: str, precision: str, machine: Machine, told: str
) -> None:
    with pytest.raises(ModelLoadFailed, match=told):
        _choose(device, precision, machine)


def test_this_machine_has_what_torch_says() -> None:
    found = TorchHardware()
    assert len(found.cards()) == (torch.cuda.device_count() if torch.cuda.is_available() else 0)
    assert found.mps() <= torch.backends.mps.is_available()


def test_the_same_seed_draws_the_same() -> None:
    first, second = (generator(torch.device("cpu"), 3) for _ in range(2))
    assert torch.equal(torch.rand(4, generator=first), torch.rand(4, generator=second))
