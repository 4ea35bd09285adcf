"""Matrices of 8 bits: near the exact product whatever the activations, row by row."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cosyd.engines.cosyvoice2 import int8, lm
from cosyd.engines.cosyvoice2.lm import Lm, LmSizes
from cosyd.engines.cosyvoice2.precision import TorchProcessor
from cosyd.engines.cosyvoice2.release import BESIDE, Release

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "cosyvoice2"
PRODUCT: Final = 0.012
"""Of a row's length: weights of a normal spread, rounded to 127 steps of their largest one."""
ACTIVATIONS: Final = 1e-3
"""What is added to that: activations are rounded to 1/15876 of their largest one."""
LIKENESS: Final = 0.9995
"""Cosine of the hidden states in float32 and with 8-bit matrices, through two layers."""
LOGITS: Final = 0.12
"""Largest error of 40 times 246 logits over their standard deviation; it is 0.077."""

pytestmark = pytest.mark.skipif(
    not TorchProcessor().int8(), reason="torch has no 8-bit kernels for this processor"
)


@pytest.fixture(scope="module", autouse=True)
def _threads() -> None:
    torch.set_num_threads(1)  # tiny matrices: threads only wait for each other


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _far(found: Tensor, wanted: Tensor) -> float:
    """The largest distance of a row over the row's length."""
    return float(((found.double() - wanted).norm(dim=1) / wanted.norm(dim=1)).max())


@pytest.mark.parametrize("rows", [1, 2, 7, 100])
def test_a_product_is_near_the_exact_one(rows: int) -> None:
    weight, x = _random(96, 256), _random(rows, 256, seed=1)
    found = int8.Matrix([int8.rounded(weight)])(x)
    assert _far(found, x.double() @ weight.double().T) < PRODUCT


@settings(max_examples=30, deadline=None)
@given(column=st.integers(0, 255), times=st.sampled_from([1.0, 30.0, 300.0]))
def test_a_large_activation_leaves_the_others_their_digits(column: int, times: float) -> None:
    weight, x = _random(96, 256), _random(3, 256, seed=1)
    x[:, column] *= times
    part = int8.rounded(weight)
    exact = part.steps.double() * part.scale.double()[:, None]
    wanted = x.double() @ exact.T
    error = (int8.Matrix([part])(x).double() - wanted).abs().amax(1) / x.abs().amax(1)
    assert error.max() < ACTIVATIONS * float(exact.norm(dim=1).max())


def test_a_row_does_not_depend_on_the_others() -> None:
    matrix = int8.Matrix([int8.rounded(_random(32, 64))])
    x = _random(5, 64, seed=2)
    x[3] *= 1000
    alone = torch.cat([matrix(row[None]) for row in x])
    torch.testing.assert_close(matrix(x), alone, atol=0, rtol=1e-5)


def test_parts_stand_one_below_the_other() -> None:
    parts = [int8.rounded(_random(rows, 64, seed=rows)) for rows in (8, 16)]
    x = _random(2, 64, seed=3)
    together = int8.Matrix(parts)
    assert len(together) == 24
    apart = torch.cat([int8.Matrix([part])(x) for part in parts], dim=1)
    torch.testing.assert_close(together(x), apart, atol=0, rtol=1e-5)


def test_zeros_stay_zeros() -> None:
    matrix = int8.Matrix([int8.rounded(torch.zeros(8, 16))])
    assert torch.equal(matrix(torch.zeros(2, 16)), torch.zeros(2, 8))
    assert torch.equal(matrix(_random(2, 16)), torch.zeros(2, 8))


def test_what_is_given_is_left_unchanged() -> None:
    x = _random(2, 64)
    before = x.clone()
    int8.Matrix([int8.rounded(_random(8, 64))])(x)
    assert torch.equal(x, before)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    folder = tmp_path_factory.mktemp("release") / "tiny"  # it writes beside the files
    shutil.copytree(GOLDEN, folder)
    yield Release(folder)


def _network(opened: Release, dtype: torch.dtype) -> Lm:
    return lm.load(opened.llm(dtype), LmSizes.read(opened.settings), dtype=dtype)


def test_the_language_model_is_near_the_exact_one(opened: Release) -> None:
    exact, rough = _network(opened, torch.float32), _network(opened, torch.int8)
    entered = _random(40, exact.sizes.hidden) * 0.5
    with torch.inference_mode():
        wanted = exact.forward(entered, [exact.cache()], [40])
        found = rough.forward(entered, [rough.cache()], [40])
        logits, rough_logits = exact.logits(wanted), rough.logits(found)
    assert found.dtype == rough.dtype == torch.float32
    assert torch.cosine_similarity(found, wanted, dim=-1).min() > LIKENESS
    assert (rough_logits - logits).abs().max() < LOGITS * logits.std()


def test_in_parts_as_in_one_go(opened: Release) -> None:
    network = _network(opened, torch.int8)
    entered = _random(12, network.sizes.hidden) * 0.5
    cache = network.cache()
    with torch.inference_mode():
        whole = network.forward(entered, [network.cache()], [12])
        parts = [
            network.forward(part, [cache], [len(part)]) for part in torch.split(entered, [7, 1, 4])
        ]
    # An activation between two steps may be rounded to the other one.
    torch.testing.assert_close(torch.cat(parts), whole, atol=2e-3, rtol=0)


def test_matrices_are_converted_once_and_stored_in_8_bits(opened: Release) -> None:
    _network(opened, torch.int8)
    tensors = opened.llm(torch.int8)
    assert (opened.folder / BESIDE / "llm.int8.safetensors").exists()
    name = "llm.model.model.layers.0.mlp.down_proj.weight"
    assert tensors[name].dtype == torch.int8
    assert tensors[name + ".scale"].dtype == torch.float32
    assert tensors["llm.model.model.norm.weight"].dtype == torch.float32
    assert opened.llm()[name].dtype == torch.float32


def test_tensors_as_released_are_rounded_at_load(opened: Release) -> None:
    sizes = LmSizes.read(opened.settings)
    entered = _random(3, sizes.hidden)
    with torch.inference_mode():
        found, wanted = (
            network.forward(entered, [network.cache()], [3])
            for network in (
                lm.load(opened.llm(), sizes, dtype=torch.int8),
                _network(opened, torch.int8),
            )
        )
    assert torch.equal(found, wanted)
