"""Steps on fixed memory against eager ones; buckets; what happens when memory or time is out."""

from __future__ import annotations

import gc
import itertools
import logging
import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from cosyd.engines.cosyvoice2 import lm, release
from cosyd.engines.cosyvoice2.decoding import Feed
from cosyd.engines.cosyvoice2.graphs import Bucket, CudaCapture, Recorded, Work
from cosyd.engines.cosyvoice2.lm import KvCache, Lm, LmSizes
from cosyd.engines.cosyvoice2.lm_graphs import Decoder
from cosyd.engines.cosyvoice2.sampling import RepetitionAware, Sampler, greedy
from cosyd.engines.cosyvoice2.speech_lm import Prompt, SpeechLm, State
from tests.engines.cosyvoice2.replays import Replays

CLOSE = 2e-5  # the same sums in another order; logits are about 1
BUCKETS = ((1, 64), (4, 128), (2, 64), (4, 64))
PROMPT = Prompt([1, 2], [4, 5])
SEED = 100
"""Of utterances no draw of which falls so near between two tokens that rounding decides."""
TEXTS = ([5, 9, 40], [7, 7, 1, 30, 2, 8], [3, 77], [12, 13, 14, 15])


@pytest.fixture(scope="module")
def network(opened: release.Release) -> Lm:
    return lm.load(opened.llm(), LmSizes.read(opened.settings))


def _decoder(network: Lm, capture: Replays | None = None, *, room: int = 128) -> Decoder:
    decoder = Decoder(network, slots=4, room=room)
    if capture is not None:
        decoder.record(capture, seconds=60, buckets=BUCKETS)
    return decoder


def _spoken(
    network: Lm, decoder: Decoder | None, sampler: Sampler | None, *, most: int = 40
) -> list[list[int]]:
    """Four utterances that begin one after the other and are stepped together."""
    speech = SpeechLm(network)
    speech.decoder = decoder
    states: list[State] = []
    said: list[list[int]] = []
    for at in range(most):
        if at < 2 * len(TEXTS) and at % 2 == 0:
            text = TEXTS[at // 2]
            states.append(speech.begin(text, PROMPT, seed=SEED + at, sampler=sampler))
            said.append([])
        ready = [(state, words) for state, words in zip(states, said, strict=True) if state.ready]
        if not ready:
            break
        tokens = speech.step([state for state, _ in ready])
        for (_, words), token in zip(ready, tokens, strict=True):
            words += [] if token is None else [token]
    return said


@pytest.mark.parametrize("captured", [False, True])
def test_greedy_utterances_are_those_of_the_eager_path(network: Lm, captured: bool) -> None:
    replays = Replays()
    decoder = _decoder(network, replays if captured else None)
    assert _spoken(network, decoder, greedy) == _spoken(network, None, greedy)
    assert replays.captured == (len(BUCKETS) if captured else 0)
    assert (replays.replayed > 20) is captured


def test_drawn_utterances_are_those_of_the_eager_path(
    network: Lm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off_the_cpu(
        sampler: RepetitionAware,
        logp: Tensor,
        decoded: Sequence[int],
        generator: torch.Generator,
    ) -> Tensor:
        return sampler._without_waiting(logp, decoded[-sampler.window :], generator)

    monkeypatch.setattr(RepetitionAware, "__call__", off_the_cpu)
    drawn = _spoken(network, _decoder(network, Replays()), None)
    assert drawn == _spoken(network, None, None)
    assert drawn != _spoken(network, None, greedy)


def _fed(network: Lm, cache: KvCache, length: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(length, network.sizes.hidden, generator=generator)
    with torch.inference_mode():
        network.forward(rows, [cache], [length])


def _feed(cache: KvCache, token: int, *, barred: bool = False) -> Feed:
    return Feed(cache, token, barred, [], None)


@pytest.mark.parametrize("lengths", [(5,), (5, 30, 1), (60, 61, 62, 63), (3, 100)])
def test_a_step_is_that_of_the_network(network: Lm, lengths: tuple[int, ...]) -> None:
    decoder = _decoder(network, Replays())
    caches = [decoder.cache() for _ in lengths]
    plain = [network.cache() for _ in lengths]
    for seed, (length, *pair) in enumerate(zip(lengths, caches, plain, strict=True)):
        for cache in pair:
            _fed(network, cache, length, seed)
    for step in range(3):
        tokens = [10 * step + place for place in range(len(lengths))]
        rows, _ = decoder.step([_feed(*pair) for pair in zip(caches, tokens, strict=True)])
        with torch.inference_mode():
            hidden = network.forward(network.embed_speech(tokens), plain, [1] * len(plain))
            wanted = network.logits(hidden).log_softmax(-1)
        torch.testing.assert_close(torch.stack([*rows]), wanted, atol=CLOSE, rtol=0)
    assert [cache.length for cache in caches] == [length + 3 for length in lengths]


def test_a_row_that_is_not_fed_is_left_as_it_is(network: Lm) -> None:
    decoder = _decoder(network, Replays())
    first, second = decoder.cache(), decoder.cache()
    _fed(network, first, 9, 0)
    _fed(network, second, 4, 1)
    before = first.rows.clone()
    decoder.step([_feed(second, 3)])
    assert torch.equal(first.rows, before)
    assert first.length == 9


def test_a_barred_end_is_impossible(network: Lm) -> None:
    decoder = _decoder(network, Replays())
    caches = [decoder.cache(), decoder.cache()]
    rows, _ = decoder.step([_feed(caches[0], 1, barred=True), _feed(caches[1], 1)])
    assert float(rows[0][network.sizes.speech_tokens]) == -math.inf
    assert float(rows[1][network.sizes.speech_tokens]) > -math.inf


def test_slots_are_given_back_and_the_fifth_utterance_has_none(network: Lm) -> None:
    decoder = _decoder(network)
    caches = [decoder.cache() for _ in range(5)]
    assert [decoder.takes(cache) for cache in caches] == [True] * 4 + [False]
    del caches[1]
    gc.collect()
    assert decoder.takes(decoder.cache())


def test_what_an_utterance_left_does_not_reach_the_next(network: Lm) -> None:
    decoder = _decoder(network, Replays())
    cache = decoder.cache()
    cache.rows.fill_(math.nan)
    del cache
    rows, _ = decoder.step([_feed(decoder.cache(), 2)])
    assert rows[0].isfinite().all()


def test_nan_is_told(network: Lm) -> None:
    speech = SpeechLm(network)
    speech.decoder = _decoder(network, Replays())
    state = speech.begin([1, 2, 3], Prompt(), seed=0)
    speech.step([state])
    state.cache.rows.fill_(math.nan)
    assert speech.step([state]) == [None]
    assert state.broken


def test_an_utterance_that_outgrows_its_slot_goes_on(network: Lm) -> None:
    decoder = _decoder(network, room=24)
    assert _spoken(network, decoder, greedy) == _spoken(network, None, greedy)
    cache = decoder.cache()
    _fed(network, cache, 20, 0)
    assert decoder.takes(cache)
    _fed(network, cache, 10, 1)
    assert not decoder.takes(cache)
    assert cache.length == 30
    assert decoder.takes(decoder.cache())


@given(
    buckets=st.sets(st.tuples(st.integers(1, 16), st.integers(1, 64)), max_size=8),
    rows=st.integers(1, 20),
    room=st.integers(1, 80),
)
def test_the_smallest_bucket_that_fits(buckets: set[tuple[int, int]], rows: int, room: int) -> None:
    recorded, done = Recorded(), []

    def make(bucket: Bucket) -> Work:
        return lambda: done.append(bucket)

    recorded.record("test", buckets, make, Replays(), seconds=60)
    fitting = [bucket for bucket in buckets if rows <= bucket[0] and room <= bucket[1]]
    chosen = recorded.choose(rows, room)
    if chosen is None:
        assert not fitting
        return
    done.clear()
    chosen[1]()
    assert done == [chosen[0]]
    assert math.prod(chosen[0]) == min(map(math.prod, fitting))


def _make(_bucket: Bucket) -> Work:
    return lambda: None


def test_capturing_ends_when_memory_is_out(caplog: pytest.LogCaptureFixture) -> None:
    recorded = Recorded()
    recorded.record("decoding", BUCKETS, _make, Replays(most=2), seconds=60)
    assert len(recorded) == 2
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == "decoding: 2 graphs, no more: CUDA out of memory. Tried to allocate a lot"


def test_capturing_ends_when_time_is_out(caplog: pytest.LogCaptureFixture) -> None:
    recorded, clock = Recorded(), itertools.count().__next__
    with caplog.at_level(logging.INFO):
        recorded.record("decoding", BUCKETS, _make, Replays(), seconds=3, clock=clock)
    assert len(recorded) == 2
    assert len(caplog.records) == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_on_a_card_graphs_say_what_the_eager_path_says(opened: release.Release) -> None:
    device = torch.device("cuda", 0)
    network = lm.load(opened.llm(), LmSizes.read(opened.settings), device=device)
    decoder = Decoder(network, slots=4, room=128)
    decoder.record(CudaCapture(device), seconds=60, buckets=BUCKETS)
    assert decoder.graphs == len(BUCKETS)
    assert _spoken(network, decoder, greedy) == _spoken(network, None, greedy)
    assert all(_spoken(network, decoder, None))
