"""The network and its rules against the recorded arrays, batches and cuts against one go."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cosyd.engines.cosyvoice2 import lm, release
from cosyd.engines.cosyvoice2.check_lm import rows
from cosyd.engines.cosyvoice2.lm import BLOCK, KvCache, Lm, LmSizes
from cosyd.errors import ModelLoadFailed

GOLDEN = Path(__file__).parents[2] / "golden" / "cosyvoice2"
CLOSE = 2e-5  # the same sums in another order; hidden states are about 1
ALL_ROWS = 60


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> release.Release:
    folder = tmp_path_factory.mktemp("release") / "tiny"  # it may write beside the files
    shutil.copytree(GOLDEN, folder)
    return release.Release(folder)


@pytest.fixture(scope="module")
def network(opened: release.Release) -> Lm:
    torch.set_num_threads(1)  # tiny sums: a second thread only waits
    return lm.load(opened.llm(), LmSizes.read(opened.settings))


def test_every_recorded_array(opened: release.Release) -> None:
    found = list(rows(opened.folder))
    assert [row for row in found if not row.good] == []
    assert len(found) == ALL_ROWS


def _random(network: Lm, count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, network.sizes.hidden, generator=generator) * 0.5


def _whole(network: Lm, entered: Tensor) -> Tensor:
    return network.forward(entered, [network.cache()], [len(entered)])


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(1, 30), min_size=1, max_size=8))
def test_positions_fed_in_parts_are_as_in_one_go(network: Lm, cuts: list[int]) -> None:
    entered = _random(network, sum(cuts))
    cache = network.cache()
    with torch.inference_mode():
        parts = [network.forward(part, [cache], [len(part)]) for part in torch.split(entered, cuts)]
        torch.testing.assert_close(torch.cat(parts), _whole(network, entered), atol=CLOSE, rtol=0)
    assert cache.length == sum(cuts)


@settings(max_examples=20, deadline=None)
@given(
    plan=st.lists(
        st.lists(st.sampled_from([1, 1, 2, 17]), min_size=3, max_size=3), min_size=1, max_size=5
    )
)
def test_a_batch_is_as_each_alone(network: Lm, plan: list[list[int]]) -> None:
    """Rows of `plan` are utterances, columns steps; prefill and single steps are mixed."""
    entered = [_random(network, sum(counts), seed) for seed, counts in enumerate(plan)]
    caches = [network.cache() for _ in plan]
    alone = [_whole(network, each) for each in entered]
    at = [0] * len(plan)
    for step in range(3):
        counts = [row[step] for row in plan]
        spans = [slice(a, a + count) for a, count in zip(at, counts, strict=True)]
        given_rows = torch.cat([each[span] for each, span in zip(entered, spans, strict=True)])
        hidden = network.forward(given_rows, caches, counts)
        wanted = torch.cat([each[span] for each, span in zip(alone, spans, strict=True)])
        torch.testing.assert_close(hidden, wanted, atol=CLOSE, rtol=0)
        at = [span.stop for span in spans]


def test_a_cache_grows_in_blocks_and_keeps_what_it_holds(network: Lm) -> None:
    entered = _random(network, BLOCK + 3)
    cache = network.cache()
    first = network.forward(entered[: BLOCK - 1], [cache], [BLOCK - 1])
    assert cache.rows.shape[2] == BLOCK
    rest = [network.forward(row[None], [cache], [1]) for row in entered[BLOCK - 1 :]]
    assert cache.rows.shape[2] == 2 * BLOCK
    got = torch.cat([first, *rest])
    torch.testing.assert_close(got, _whole(network, entered), atol=CLOSE, rtol=0)


def test_no_weight_changes(opened: release.Release, network: Lm) -> None:
    cache = KvCache(network.sizes, network.device, network.dtype)
    network.forward(_random(network, 9), [cache], [9])
    again = lm.load(opened.llm(), network.sizes)
    for one, other in (
        (network.layers[0].qkv, again.layers[0].qkv),
        (network.layers[-1].gate_up, again.layers[-1].gate_up),
    ):
        assert isinstance(one, Tensor)
        assert isinstance(other, Tensor)
        assert torch.equal(one, other)
    assert torch.equal(network.speech, again.speech)


def test_bfloat16_is_near(opened: release.Release, network: Lm) -> None:
    rough = lm.load(opened.llm(), network.sizes, dtype=torch.bfloat16)
    entered = _random(network, 20)
    hidden = rough.forward(entered.bfloat16(), [rough.cache()], [20])
    assert hidden.dtype == torch.bfloat16
    likeness = torch.cosine_similarity(hidden.float(), _whole(network, entered), dim=-1)
    assert likeness.min() > 0.998  # 8 bits of mantissa through two layers


@pytest.mark.parametrize(
    "name", ["speech_embedding.weight", "llm.model.model.layers.1.mlp.up_proj.weight"]
)
def test_a_tensor_of_another_shape_or_missing_is_named(
    opened: release.Release, network: Lm, name: str
) -> None:
    tensors = opened.llm()
    tensors[name] = tensors[name][:-1]
    with pytest.raises(ModelLoadFailed, match=name):
        lm.load(tensors, network.sizes)
    del tensors[name]
    with pytest.raises(ModelLoadFailed, match=name):
        lm.load(tensors, network.sizes)


def test_an_unknown_tensor_is_named(opened: release.Release, network: Lm) -> None:
    with pytest.raises(ModelLoadFailed, match="surprise"):
        lm.load({**opened.llm(), "surprise": torch.zeros(1)}, network.sizes)
