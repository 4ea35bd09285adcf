"""Every tensor of a checkpoint is taken once, with the right shape, and none is left."""

from __future__ import annotations

import math

import pytest
import torch

from cosyd.engines.cosyvoice2.tensors import Row, Tensors
from cosyd.errors import ModelLoadFailed


def view() -> Tensors:
    return Tensors(
        "part.pt",
        {
            "a.weight": torch.zeros(2, 3),
            "a.bias": torch.zeros(2),
            "ab.weight": torch.zeros(4),
            "b.0.weight": torch.ones(1),
        },
    )


def test_takes_by_name_and_shape() -> None:
    tensors = view()
    assert tensors.take("a.weight", (2, 3)).shape == (2, 3)
    assert tensors.take("a.bias", (-1,)).shape == (2,)
    assert tensors.take("ab.weight").shape == (4,)
    assert tensors.names() == ["b.0.weight"]


def test_a_taken_tensor_is_gone() -> None:
    tensors = view()
    tensors.take("a.bias")
    with pytest.raises(ModelLoadFailed, match=r"part\.pt: no tensor a\.bias"):
        tensors.take("a.bias")


def test_the_error_names_the_full_name() -> None:
    with pytest.raises(ModelLoadFailed, match=r"part\.pt: no tensor b\.0\.bias"):
        view().child("b").child("0").take("bias")


@pytest.mark.parametrize("shape", [(3, 2), (2,), (2, 3, 1), (-1, 4), ()])
def test_a_wrong_shape_names_file_tensor_and_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelLoadFailed, match=r"part\.pt: a\.weight has shape \[2, 3\], not \["):
        view().take("a.weight", shape)


def test_a_child_ends_at_the_dot_and_shares_what_is_left() -> None:
    tensors = view()
    child = tensors.child("a")
    assert child.names() == ["bias", "weight"]
    assert "weight" in child
    assert "b.0.weight" not in child
    tensors.take("a.bias")
    assert child.names() == ["weight"]
    child.take("weight")
    child.done()
    with pytest.raises(ModelLoadFailed, match=r"part\.pt: unknown tensor ab\.weight and 1 more"):
        tensors.done()


def test_done_with_one_left_names_it() -> None:
    tensors = view().child("b")
    with pytest.raises(ModelLoadFailed, match=r"unknown tensor b\.0\.weight;"):
        tensors.done()


def test_the_mapping_stays_whole() -> None:
    mapping = {"a": torch.zeros(1)}
    Tensors("part.pt", mapping).take("a")
    assert list(mapping) == ["a"]


@pytest.mark.parametrize(
    ("error", "good"),
    [(0.0, True), (1e-4, True), (1.1e-4, False), (math.inf, False), (math.nan, False)],
)
def test_a_row_is_good_within_its_tolerance(error: float, good: bool) -> None:
    assert Row("lm", "llm.npz:x", error, 1e-4).good is good
