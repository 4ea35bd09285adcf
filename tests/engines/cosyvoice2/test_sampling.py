"""Drawing tokens; the recorded draws are compared in test_lm.py."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cosyd.engines.cosyvoice2.sampling import NO_TOKEN, RepetitionAware, greedy, uniform_pair


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


def _many(count: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities, last tokens and uniform numbers of some rows."""
    generator = torch.Generator().manual_seed(seed)
    logp = (torch.randn(count, 60, generator=generator) * 3).log_softmax(1)
    recent = torch.randint(-1, 60, (count, 10), generator=generator)
    return logp, recent, torch.stack([uniform_pair(generator) for _ in range(count)])


def test_a_batch_draws_what_each_row_draws_alone() -> None:
    sampler, (logp, recent, uniforms) = RepetitionAware(), _many(64)
    alone = [
        sampler.batched(logp[row : row + 1], recent[row : row + 1], uniforms[row : row + 1])
        for row in range(64)
    ]
    assert torch.equal(sampler.batched(logp, recent, uniforms), torch.cat(alone))


def test_batched_draws_are_of_the_nucleus_and_else_of_all_but_the_repeated() -> None:
    sampler, (logp, recent, uniforms) = RepetitionAware(), _many(400)
    drawn = sampler.batched(logp, recent, uniforms)
    repeated = 0
    for row, token in enumerate(drawn.tolist()):
        if token not in sampler.nucleus(logp[row])[1].tolist():
            repeated += 1
            first = sampler.batched(
                logp[row : row + 1], recent[:1] * 0 - 1, uniforms[row : row + 1]
            )
            assert int(first) in recent[row].tolist()
    assert 0 < repeated < 200


@pytest.mark.parametrize("uniform", [0.0, 0.3, 0.999999, 1 - 2**-20])
def test_a_forbidden_token_is_never_drawn(uniform: float) -> None:
    logp = torch.full((1, 50), -torch.inf)
    logp[0, [7, 20]] = torch.tensor([0.3, 0.7]).log()
    for last in (-1, 7, 20):
        recent, uniforms = torch.full((1, 10), last), torch.full((1, 2), uniform)
        assert int(RepetitionAware().batched(logp, recent, uniforms)) in (7, 20)


def test_a_nan_is_no_token() -> None:
    logp, recent, uniforms = _many(3)
    logp[1, 5] = torch.nan
    drawn = RepetitionAware().batched(logp, recent, uniforms).tolist()
    assert drawn[1] == NO_TOKEN
    assert min(drawn[0], drawn[2]) >= 0
