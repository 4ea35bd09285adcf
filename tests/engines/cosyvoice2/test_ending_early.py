"""What is computed for an utterance ends between two computations."""

from __future__ import annotations

import pytest
import torch

from cosyd.engines.cosyvoice2 import flow, release
from cosyd.engines.cosyvoice2.flow_stream import FlowStream
from cosyd.engines.cosyvoice2.t2w import TokenToWave
from cosyd.engines.cosyvoice2.wave import Vocoder
from tests.engines.cosyvoice2.pieces import CPU, seeded


class _Ended(Exception):
    pass


class _Check:
    """Counts how often it is asked, and ends the work at the `at`-th time."""

    def __init__(self, at: int = -1) -> None:
        self.at = at
        self.asked = 0

    def __call__(self) -> None:
        self.asked += 1
        if self.asked == self.at:
            raise _Ended


@pytest.fixture(scope="module")
def network(opened: release.Release) -> flow.Flow:
    sizes = flow.FlowSizes.read(opened.settings)
    return flow.load(opened.flow(), sizes, device=CPU, dtype=torch.float32)


def _utterance(network: flow.Flow, vocoder: Vocoder, check: _Check) -> TokenToWave:
    voice = network.prompt(None, None, torch.ones(1, 192))
    mel = FlowStream(network, voice, check=check)
    utterance = TokenToWave(mel, vocoder, seeded(), check=check)
    utterance.write(list(range(40)), final=False)
    return utterance


def test_a_hop_asks_before_every_step_and_around_the_vocoder(
    network: flow.Flow, vocoder: Vocoder
) -> None:
    check = _Check()
    _utterance(network, vocoder, check).step()
    assert check.asked == 1 + network.cfm.steps + 2


@pytest.mark.parametrize("at", [1, 2, 7, 11, 12, 13])
def test_it_ends_where_it_is_told_and_another_goes_on(
    network: flow.Flow, vocoder: Vocoder, at: int
) -> None:
    whole = _utterance(network, vocoder, _Check()).step()
    other = _utterance(network, vocoder, _Check())
    check = _Check(at)
    with pytest.raises(_Ended):
        _utterance(network, vocoder, check).step()
    assert check.asked == at
    assert torch.equal(other.step(), whole)


def test_a_voice_ends_while_it_is_made(network: flow.Flow) -> None:
    tokens, mel = torch.zeros((1, 60), dtype=torch.int64), torch.zeros(1, 120, 80)
    check = _Check(5)
    with pytest.raises(_Ended):
        network.prompt(tokens, mel, torch.ones(1, 192), check=check)
