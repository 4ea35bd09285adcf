"""Weight norm is folded as torch computes it, from either spelling."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.utils import parametrizations

from cosyd.engines.cosyvoice2.checkpoint import fold_weight_norm, strip_generator
from cosyd.errors import ModelLoadFailed


def old(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The older spelling, with training's prefix."""
    renamed = {}
    for name, tensor in state.items():
        name = name.replace("parametrizations.weight.original0", "weight_g")
        name = name.replace("parametrizations.weight.original1", "weight_v")
        renamed[f"generator.{name}"] = tensor
    return renamed


@pytest.mark.parametrize(
    "layer",
    [
        torch.nn.Conv1d(5, 4, 3),
        torch.nn.ConvTranspose1d(6, 3, 4, stride=2),
        torch.nn.Linear(3, 7),
        torch.nn.Conv2d(2, 3, (1, 5)),
    ],
)
def test_folded_as_torch_computes_it_bit_for_bit(layer: torch.nn.Module) -> None:
    normed = parametrizations.weight_norm(layer)
    state = {f"m.{name}": tensor for name, tensor in normed.state_dict().items()}
    state["m.parametrizations.weight.original0"] *= 1.7
    expected = normed.weight
    assert isinstance(expected, Tensor)
    new = fold_weight_norm(state, "x.pt")
    assert set(new) == {"m.bias", "m.weight"}
    assert torch.equal(new["m.weight"], expected)
    both = fold_weight_norm(strip_generator(old(state)), "x.pt")
    assert torch.equal(both["m.weight"], expected)
    assert new["m.bias"] is state["m.bias"]


def test_half_a_pair_is_named() -> None:
    state = {"m.weight_g": torch.ones(2, 1, 1), "m.weight_v": torch.ones(2, 3, 1)}
    for name in state:
        left = {other: tensor for other, tensor in state.items() if other != name}
        with pytest.raises(ModelLoadFailed, match=rf"x\.pt: no tensor {name}"):
            fold_weight_norm(left, "x.pt")


def test_two_weights_of_one_layer() -> None:
    state = {
        "m.weight": torch.ones(2, 3, 1),
        "m.weight_g": torch.ones(2, 1, 1),
        "m.weight_v": torch.ones(2, 3, 1),
    }
    with pytest.raises(ModelLoadFailed, match="m has two weights"):
        fold_weight_norm(state, "x.pt")


@pytest.mark.parametrize("shape", [(3, 1, 1), (2, 1), (1, 3, 1), ()])
def test_a_norm_of_the_wrong_shape(shape: tuple[int, ...]) -> None:
    state = {"m.weight_g": torch.ones(shape), "m.weight_v": torch.ones(2, 3, 1)}
    with pytest.raises(ModelLoadFailed, match=r"m\.weight_g has shape"):
        fold_weight_norm(state, "x.pt")
