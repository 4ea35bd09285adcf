"""Drawing tokens; the recorded draws are compared in test_lm.py."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cosyd.engines.cosyvoice2.sampling import RepetitionAware, greedy


def _logp(*probabilities: float) -> Tensor:
    return torch.tensor(probabilities).log()


LOGP = _logp(0.05, 0.5, 0.05, 0.25, 0.1, 0.05)


def _drawn(sampler: RepetitionAware, decoded: list[int], *, waiting: bool) -> list[int]:
    generator = torch.Generator().manual_seed(0)
    if waiting:
        return [int(sampler(LOGP, decoded, generator)) for _ in range(4000)]
    recent = decoded[-sampler.window :]
    return [int(sampler._without_waiting(LOGP, recent, generator)) for _ in range(4000)]


def test_the_crossing_token_is_kept() -> None:
    probabilities, ids = RepetitionAware().nucleus(LOGP)
    assert ids.tolist() == [1, 3, 4]
    torch.testing.assert_close(probabilities, torch.tensor([0.5, 0.25, 0.1]))


def test_top_k_bounds_the_nucleus_and_equal_ones_keep_their_order() -> None:
    assert RepetitionAware(top_k=4).nucleus(torch.zeros(9))[1].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("waiting", [True, False])
def test_shares_of_the_nucleus(waiting: bool) -> None:
    """4000 draws: a share's standard deviation is below 0.008."""
    drawn = torch.tensor(_drawn(RepetitionAware(), [], waiting=waiting))
    shares = torch.bincount(drawn, minlength=6) / len(drawn)
    wanted = torch.tensor([0, 0.5, 0, 0.25, 0.1, 0]) / 0.85
    torch.testing.assert_close(shares, wanted, atol=0.04, rtol=0)


@pytest.mark.parametrize("waiting", [True, False])
def test_a_recent_token_is_drawn_from_all_others(waiting: bool) -> None:
    """1 is drawn with 0.5 / 0.85 and replaced: the others share that part by all of themselves."""
    drawn = torch.tensor(_drawn(RepetitionAware(), [1, *[9] * 9], waiting=waiting))
    shares = torch.bincount(drawn, minlength=6) / len(drawn)
    assert shares[1] == 0
    again = 0.5 / 0.85
    wanted = torch.tensor([0, 0, 0, 0.25, 0.1, 0]) / 0.85
    wanted = wanted + again * torch.tensor([0.05, 0, 0.05, 0.25, 0.1, 0.05]) / 0.5
    torch.testing.assert_close(shares, wanted, atol=0.04, rtol=0)


@pytest.mark.parametrize("waiting", [True, False])
def test_only_the_window_counts(waiting: bool) -> None:
    assert 1 in _drawn(RepetitionAware(), [1, *[9] * 10], waiting=waiting)


def test_log_probabilities_are_left_as_they_are() -> None:
    logp = LOGP.clone()
    RepetitionAware()(logp, list(range(6)), torch.Generator().manual_seed(0))
    assert torch.equal(logp, LOGP)


def test_greedy() -> None:
    assert int(greedy(LOGP, [1, 1], torch.Generator())) == 1
