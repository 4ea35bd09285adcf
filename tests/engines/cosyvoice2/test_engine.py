"""The whole engine with a tiny random release: what it says."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from cosyd.engines.base import Request
from cosyd.engines.cosyvoice2 import speech_lm, voices
from cosyd.engines.cosyvoice2.engine import CosyVoice2Engine
from cosyd.engines.cosyvoice2.release import Release
from cosyd.engines.cosyvoice2.voice import Shelf
from cosyd.errors import BadAudio, CosydError, EmptyText, Unsupported, VoiceNotFound
from cosyd.voices.voicepack import Voicepack
from tests.engines.cosyvoice2 import packs
from tests.engines.cosyvoice2.speaking import OTHER, TEXT, chunks, opened, run, say, sound

# what is said ------------------------------------------------------------------------------


def test_the_same_seed_says_the_same(engine: CosyVoice2Engine, own: Voicepack) -> None:
    first = say(engine, Request(own, seed=7))
    assert first.size and np.abs(first).max() <= 1
    assert np.array_equal(first, say(engine, Request(own, seed=7)))
    other = say(engine, Request(own, seed=8))
    assert other.shape != first.shape or not np.array_equal(first, other)


def test_two_at_once_are_each_as_alone(
    engine: CosyVoice2Engine, own: Voicepack, ada: Voicepack
) -> None:
    requests = [Request(own, seed=1), Request(ada, seed=2), Request(own, seed=3, speed=1.5)]
    texts = [TEXT, OTHER, OTHER]
    alone = [say(engine, r, text) for r, text in zip(requests, texts, strict=True)]
    streams = [opened(engine, r, text) for r, text in zip(requests, texts, strict=True)]
    together = run(engine, *streams)
    for one, outcomes in zip(alone, together, strict=True):
        assert outcomes[-1] is None
        assert np.array_equal(one, sound(outcomes))


def test_positions_grow_and_end_with_the_text(engine: CosyVoice2Engine, own: Voicepack) -> None:
    text = "First. Then that, too.\n\nLast one.  "
    (outcomes,) = run(engine, opened(engine, Request(own, seed=1), text))
    made = chunks(outcomes)
    ends = [chunk.text.end for chunk in made]
    assert ends == sorted(ends) and ends[-1] == len(text.rstrip())
    sentences = [chunk.sentence for chunk in made if chunk.sentence is not None]
    spoken = [text[start:end] for start, end in sentences]
    assert spoken == ["First.", "Then that, too.", "Last one."]
    assert all(a.text.end == b.text.start for a, b in pairwise(made))


def test_a_higher_speed_is_shorter(engine: CosyVoice2Engine, own: Voicepack) -> None:
    lengths = [
        len(say(engine, Request(own, seed=4, speed=speed), "One word.")) for speed in (0.7, 1, 1.6)
    ]
    assert lengths == sorted(lengths, reverse=True)


def test_languages(engine: CosyVoice2Engine, own: Voicepack) -> None:
    with pytest.raises(Unsupported, match="not 'fr'"):
        engine.open(Request(own, language="fr"))
    assert say(engine, Request(own, language="zh-CN", seed=1), "你好，世界。").size


class _Prompts:
    """Remembers what the language model was told of the voice."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[speech_lm.Prompt] = []
        begin = speech_lm.SpeechLm.begin

        def watched(
            lm: speech_lm.SpeechLm, text: Sequence[int], prompt: speech_lm.Prompt, *, seed: int
        ) -> speech_lm.State:
            self.seen.append(prompt)
            return begin(lm, text, prompt, seed=seed)

        monkeypatch.setattr(speech_lm.SpeechLm, "begin", watched)


def test_modes(
    engine: CosyVoice2Engine, ada: Voicepack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = packs.voice(packs.cloned(tmp_path, text=""))
    prompts = _Prompts(monkeypatch)
    for request in (
        Request(ada, seed=1),
        Request(ada, seed=1, language="en-GB"),
        Request(ada, seed=1, language="zh"),
        Request(silent, seed=1),
        Request(ada, seed=1, instruct="Slowly <|endofprompt|> please."),
    ):
        assert say(engine, request).size
    zero_shot, same, cross, unknown, instructed = prompts.seen
    assert zero_shot.text and zero_shot.speech and same == zero_shot
    assert cross == unknown == speech_lm.cross_lingual()
    assert instructed.text and not instructed.speech
    end = engine._model.speller.instruction("")[-1]
    assert list(instructed.text).count(end) == 1 and instructed.text[-1] == end


def test_prompts_sound_different(engine: CosyVoice2Engine, ada: Voicepack) -> None:
    calm, happy = (say(engine, Request(ada.with_prompt(p), seed=1)) for p in ("calm", "happy"))
    assert calm.shape != happy.shape or not np.array_equal(calm, happy)


@pytest.mark.parametrize("words", ["a", "word " * 400])
def test_a_transcript_of_any_length(engine: CosyVoice2Engine, tmp_path: Path, words: str) -> None:
    voice = packs.voice(packs.cloned(tmp_path, text=words))
    assert say(engine, Request(voice, seed=1), "Two words.").size
    stream = opened(engine, Request(voice, seed=1), "Six more words are said here", final=False)
    run(engine, stream)
    stream.write(" and these.", final=True)
    assert run(engine, stream)[0][-1] is None


def test_a_voice_is_made_once(
    engine: CosyVoice2Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = packs.voice(packs.cloned(tmp_path))
    first = say(engine, Request(voice, seed=1))
    made: list[object] = []
    monkeypatch.setattr(voices._OnDemand, "make", lambda *_: made.append(1))
    assert np.array_equal(first, say(engine, Request(voice, seed=1)))
    engine._voices.clear()  # from disk then
    assert np.array_equal(first, say(engine, Request(voice, seed=1)))
    assert not made


def test_voices_in_memory_are_bounded(tiny: Path, engine: CosyVoice2Engine, tmp_path: Path) -> None:
    model = engine._model
    release = Release(tiny / "models" / packs.MODEL, cache=tmp_path)
    kept = voices.Voices(release, model.flow, model.speller, Shelf(tmp_path, "x"), most_bytes=1)
    one, two = (packs.voice(packs.cloned(tmp_path, name)) for name in ("one", "two"))
    assert kept.get(one) is kept.get(one)
    bytes_of_one = kept.nbytes
    kept.get(two)
    assert bytes_of_one == kept.nbytes > 1  # the latest stays, though it is larger


# nothing speakable, too much of it, bad recordings -------------------------------------------


@pytest.mark.parametrize("text", ["", "🙂 👍🏽 ❤️", "...!?", "<|endofprompt|>", " \n"])
def test_nothing_speakable(engine: CosyVoice2Engine, own: Voicepack, text: str) -> None:
    (outcomes,) = run(engine, opened(engine, Request(own), text))
    assert isinstance(outcomes[-1], EmptyText) and not sound(outcomes).size


class _Never:
    """A sampler that never ends."""

    def __call__(
        self, logp: torch.Tensor, decoded: Sequence[int], generator: torch.Generator
    ) -> torch.Tensor:
        del logp, decoded, generator
        return torch.tensor(5)


def test_tokens_that_never_stop_end_at_the_limit(
    engine: CosyVoice2Engine, own: Voicepack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech_lm, "RELEASED", _Never())
    stream = opened(engine, Request(own, seed=1), "One two.")
    stream.advance()
    (outcomes,) = run(engine, stream)
    assert outcomes[-1] is None
    tokens = len(engine._model.speller.tokens("One two."))
    assert len(sound(outcomes)) <= 20 * tokens * engine._model.samples_per_token


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda path: path.write_bytes(b"no sound"), BadAudio),
        (lambda path: packs.record(path, 0.3), BadAudio),
        (lambda path: packs.record(path, 31), BadAudio),
    ],
)
def test_a_bad_recording_fails_its_stream_alone(
    engine: CosyVoice2Engine,
    own: Voicepack,
    tmp_path: Path,
    damage: Callable[[Path], None],
    error: type[CosydError],
) -> None:
    pack = packs.voice(packs.cloned(tmp_path))
    assert pack.prompt is not None
    damage(pack.prompt.path)
    bad, good = opened(engine, Request(pack)), opened(engine, Request(own, seed=1))
    outcomes = run(engine, bad, good)
    assert isinstance(outcomes[0][-1], error) and outcomes[1][-1] is None


def test_a_voice_that_is_not_there(engine: CosyVoice2Engine, tmp_path: Path) -> None:
    gone = packs.voice(packs.cloned(tmp_path))
    shutil.rmtree(gone.path / "prompts")
    with pytest.raises(VoiceNotFound, match="add the voice again"):
        engine.open(Request(gone))
    unknown = packs.voice(packs.of_release(tmp_path, "nobody", speaker="nobody"))
    assert isinstance(run(engine, opened(engine, Request(unknown)))[0][-1], VoiceNotFound)


# text that is still written ------------------------------------------------------------------


def test_words_are_spoken_while_the_sentence_is_written(
    engine: CosyVoice2Engine, own: Voicepack
) -> None:
    stream = opened(engine, Request(own, seed=2), "", final=False)
    heard = 0
    text = "this sentence has no end for a long while and goes on and on and on "
    for char in text:
        stream.write(char, final=False)
        heard += len(sound(run(engine, stream)[0]))
    assert heard
    stream.write("until now.", final=True)
    outcomes = run(engine, stream)[0]
    assert outcomes[-1] is None
    assert chunks(outcomes)[-1].text.end == len(text) + 10


def test_whoever_waits_behind_a_sentence_hears_it(engine: CosyVoice2Engine, own: Voicepack) -> None:
    stream = opened(engine, Request(own, seed=2), "Yes, sure. ", final=False)
    outcomes = run(engine, stream)[0]
    assert sound(outcomes).size and chunks(outcomes)[-1].text.end == 10
    stream.write("", final=True)
    assert run(engine, stream)[0] == [None]


def test_flush_speaks_what_is_there(engine: CosyVoice2Engine, own: Voicepack) -> None:
    stream = opened(engine, Request(own, seed=2), "Wait for", final=False)
    run(engine, stream)
    stream.write(" me", final=False, flush=True)
    outcomes = run(engine, stream)[0]
    assert sound(outcomes).size and chunks(outcomes)[-1].text.end == 11
    stream.write(" and her.", final=True)
    assert run(engine, stream)[0][-1] is None
