"""Utterances: lengths, ends, streamed text, and that none disturbs another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cosyd.engines.cosyvoice2 import lm
from cosyd.engines.cosyvoice2.check_lm import run
from cosyd.engines.cosyvoice2.layout import read_settings
from cosyd.engines.cosyvoice2.lm import LmSizes
from cosyd.engines.cosyvoice2.phases import Phase
from cosyd.engines.cosyvoice2.sampling import Sampler, greedy
from cosyd.engines.cosyvoice2.speech_lm import (
    MAX_RATIO,
    Prompt,
    SpeechLm,
    State,
    cross_lingual,
    instruct2,
    sft,
    zero_shot,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "cosyvoice2"
TEXT = [39, 301, 385, 289, 269, 75]
PROMPTS = {
    "zero_shot": zero_shot([79, 441, 417, 259, 427], list(range(100, 137))),
    "cross_lingual": cross_lingual(),
    "instruct2": instruct2([163, 242, 483]),
    "sft": sft(),
}


@pytest.fixture(scope="module")
def speech_lm() -> SpeechLm:
    torch.set_num_threads(1)  # tiny sums: a second thread only waits
    tensors = torch.load(GOLDEN / "llm.pt", weights_only=True)
    return SpeechLm(lm.load(tensors, LmSizes.read(read_settings(GOLDEN))))


def always(offset: int, speech: int = 729) -> Sampler:
    """A sampler that draws one special token unless it is forbidden, then token 7."""

    def sampler(logp: Tensor, decoded: Sequence[int], generator: torch.Generator) -> Tensor:
        del decoded, generator
        allowed = bool(logp[speech + offset] > -torch.inf)
        return torch.tensor(speech + offset if allowed else 7)

    return sampler


def _all(speech_lm: SpeechLm, states: Sequence[State], most: int = 60) -> list[list[int]]:
    """Step all that are ready together until each is done or has had `most` steps."""
    out: list[list[int]] = [[] for _ in states]
    for _ in range(most):
        ready = [(at, state) for at, state in enumerate(states) if state.ready]
        if not ready:
            break
        tokens = speech_lm.step([state for _, state in ready])
        for (at, _), token in zip(ready, tokens, strict=True):
            out[at] += [] if token is None else [token]
    return out


@pytest.mark.parametrize("kind", PROMPTS)
def test_what_is_fed_first(speech_lm: SpeechLm, kind: str) -> None:
    prompt = PROMPTS[kind]
    state = speech_lm.begin(TEXT, prompt, seed=0)
    speech_lm.step([state])
    assert state.cache.length == 2 + len(prompt.text) + len(TEXT) + len(prompt.speech)


def test_batched_is_as_each_alone(speech_lm: SpeechLm) -> None:
    """Sampled: a difference beyond rounding would soon choose another token."""

    def begin() -> list[State]:
        return [
            speech_lm.begin(TEXT[: 2 + seed], prompt, seed=seed)
            for seed, prompt in enumerate(PROMPTS.values())
        ]

    alone = [_all(speech_lm, [state])[0] for state in begin()]
    assert _all(speech_lm, begin()) == alone
    assert len({tuple(tokens[:9]) for tokens in alone}) == len(alone)


def test_interleaved_and_joined_late_is_as_each_alone(speech_lm: SpeechLm) -> None:
    def begin(seed: int) -> State:
        return speech_lm.begin(TEXT, PROMPTS["zero_shot"], seed=seed)

    alone = [_all(speech_lm, [begin(seed)], 30)[0] for seed in (5, 6)]
    first, out = begin(5), list[int]()
    for _ in range(7):
        out += [token for token in speech_lm.step([first]) if token is not None]
    second = begin(6)
    later = _all(speech_lm, [second, first], 23)
    assert out + later[1] == alone[0]
    assert later[0] == alone[1][: len(later[0])]


def test_the_seed_decides(speech_lm: SpeechLm) -> None:
    def tokens(seed: int) -> list[int]:
        return _all(speech_lm, [speech_lm.begin(TEXT, sft(), seed=seed)], 20)[0]

    assert tokens(1) == tokens(1)
    assert tokens(1) != tokens(2)


def test_end_token_waits_for_the_least_length(speech_lm: SpeechLm) -> None:
    state = speech_lm.begin(TEXT, sft(), seed=0, sampler=always(0))
    assert run(speech_lm, state, 1000) == [7] * (2 * len(TEXT))
    assert state.done


@pytest.mark.parametrize("offset", [1, 2])
def test_other_special_tokens_end_at_once(speech_lm: SpeechLm, offset: int) -> None:
    state = speech_lm.begin(TEXT, sft(), seed=0, sampler=always(offset))
    assert run(speech_lm, state, 1000) == []
    assert state.done


def test_speech_is_over_at_the_greatest_length(speech_lm: SpeechLm) -> None:
    state = speech_lm.begin(TEXT[:2], sft(), seed=0, sampler=lambda *_: torch.tensor(7))
    assert len(run(speech_lm, state, 1000)) == 2 * MAX_RATIO
    assert state.done
    assert speech_lm.begin([], sft(), seed=0).done


def _streamed(
    speech_lm: SpeechLm, prompt: Prompt, parts: Sequence[Sequence[int]], sampler: Sampler
) -> tuple[list[int], State]:
    state = speech_lm.begin_streamed(prompt, seed=3, sampler=sampler)
    tokens: list[int] = []
    for at, part in enumerate(parts):
        speech_lm.write(state, part, final=at == len(parts) - 1)
        tokens += run(speech_lm, state, 1000)
    return tokens, state


def _ending(after: int) -> Sampler:
    def sampler(logp: Tensor, decoded: Sequence[int], generator: torch.Generator) -> Tensor:
        enough = len(decoded) >= after and bool(logp[729] > -torch.inf)
        return torch.tensor(729) if enough else greedy(logp[:729], decoded, generator)

    return sampler


@settings(max_examples=25, deadline=None)
@given(
    text=st.lists(st.integers(0, 479), min_size=1, max_size=23),
    cuts=st.lists(st.integers(0, 23), max_size=5),
    prompt=st.sampled_from(
        [Prompt(), Prompt([1, 2, 3]), Prompt(list(range(9)), list(range(20))), PROMPTS["zero_shot"]]
    ),
)
def test_how_text_is_cut_into_writes_changes_nothing(
    speech_lm: SpeechLm, text: list[int], cuts: list[int], prompt: Prompt
) -> None:
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    parts = [text[a:b] for a, b in pairwise(places)]
    whole, state = _streamed(speech_lm, prompt, [text], _ending(40))
    assert _streamed(speech_lm, prompt, parts, _ending(40))[0] == whole
    assert state.done
    assert all(0 <= token < 729 for token in whole)


def test_fill_comes_where_text_is_due(speech_lm: SpeechLm) -> None:
    """After 20 prompt tokens 10 are left of the second run of 15; then 15 each."""
    prompt = Prompt(list(range(9)), list(range(20)))
    _, state = _streamed(speech_lm, prompt, [list(range(16))], _ending(70))
    assert [at for at, id_ in enumerate(state.decoded) if id_ == 731] == [10, 26, 42, 58]


def test_waits_for_text(speech_lm: SpeechLm) -> None:
    state = speech_lm.begin_streamed(Prompt(), seed=0, sampler=_ending(40))
    assert not state.ready
    speech_lm.write(state, [1, 2, 3, 4])
    phases = [state.phase]
    speech_lm.write(state, [5, 6])
    phases.append(state.phase)
    assert len(run(speech_lm, state, 1000)) == 15
    phases.append(state.phase)
    speech_lm.write(state, [], final=True)
    phases.append(state.phase)
    assert phases == [Phase.WAITING, Phase.MIXED, Phase.WAITING, Phase.LAST]


def test_streamed_text_that_is_empty_is_done(speech_lm: SpeechLm) -> None:
    state = speech_lm.begin_streamed(Prompt([1, 2], [3, 4]), seed=0)
    speech_lm.write(state, [], final=True)
    assert state.done


def test_special_tokens_that_mean_nothing_are_drawn_again(speech_lm: SpeechLm) -> None:
    """In the midst of text an end, after it a fill: neither may stop or spoil the speech."""
    tokens, state = _streamed(speech_lm, Prompt(), [list(range(6))], always(1))
    assert set(tokens) == {7}
    assert len(tokens) == 6 * MAX_RATIO - 1  # one of the drawn was the fill token
    assert state.done


@pytest.mark.parametrize(
    "begin",
    [
        lambda it: it.begin(TEXT, PROMPTS["zero_shot"], seed=4),
        lambda it: it.begin_streamed(PROMPTS["zero_shot"], seed=4),
    ],
)
def test_states_share_nothing_that_changes(
    speech_lm: SpeechLm, begin: Callable[[SpeechLm], State]
) -> None:
    one, other = begin(speech_lm), begin(speech_lm)
    assert one.generator is not other.generator
    assert one.cache.rows.data_ptr() != other.cache.rows.data_ptr() or not one.cache.rows.numel()
    assert one.decoded is not other.decoded
    assert one.text is not other.text
