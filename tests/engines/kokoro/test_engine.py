"""The Kokoro engine with its real model: what it speaks, and how it stops."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cosyd.engines.base import Chunk, Interrupted, Request, Settings, Span
from cosyd.engines.kokoro import DESCRIPTOR, engine, loading, weights
from cosyd.engines.kokoro.engine import KokoroEngine
from cosyd.engines.segmented import SegmentStream
from cosyd.errors import (
    EmptyText,
    Internal,
    ModelLoadFailed,
    ModelNotFound,
    Unsupported,
    VoiceNotFound,
)
from cosyd.voices import voicepack

for package in DESCRIPTOR.requires:
    pytest.importorskip(package, reason=f"needs the Kokoro packages: {DESCRIPTOR.install}")
pytestmark = pytest.mark.model

PACKS = Path(__file__).parents[3] / "voicepacks" / "kokoro"
VOICES = sorted(path.name for path in PACKS.iterdir() if path.is_dir())
LONG = "The people of the town walked slowly through the old streets until the evening came. "


@pytest.fixture(scope="module")
def kokoro(tmp_path_factory: pytest.TempPathFactory) -> KokoroEngine:
    return loading.load(weights.MODEL, Settings(tmp_path_factory.mktemp("data")))


def opened(
    kokoro: KokoroEngine, voice: str = "af_heart", language: str | None = None, speed: float = 1.0
) -> SegmentStream:
    pack = voicepack.load(PACKS / voice)
    return kokoro.open(Request(voice=pack, language=language, speed=speed))


def chunks(kokoro: KokoroEngine, stream: SegmentStream) -> list[Chunk]:
    out = []
    while (outcome := kokoro.step([stream])[0]) is not None:
        if not isinstance(outcome, Chunk):
            raise outcome
        out.append(outcome)
    stream.close()
    return out


def say(
    kokoro: KokoroEngine,
    text: str,
    voice: str = "af_heart",
    language: str | None = None,
    speed: float = 1.0,
) -> NDArray[np.float32]:
    stream = opened(kokoro, voice, language, speed)
    stream.write(text, final=True)
    return np.concatenate([chunk.pcm for chunk in chunks(kokoro, stream)])


def assert_speech(pcm: NDArray[np.float32], at_least_s: float) -> None:
    assert pcm.dtype == np.float32 and np.isfinite(pcm).all()
    assert len(pcm) >= at_least_s * engine.SAMPLE_RATE
    assert 0.02 < np.sqrt(np.mean(np.square(pcm))) < 0.4
    assert np.abs(pcm).max() < 1.2
    assert pcm[0] == pcm[-1] == 0.0  # fades: no click at the edges


@pytest.mark.parametrize("voice", VOICES)
def test_every_voice_speaks(kokoro: KokoroEngine, voice: str) -> None:
    text = "你好。" if voice.startswith("z") else "Good day."
    assert_speech(say(kokoro, text, voice), 0.4)


def test_there_are_english_and_chinese_voices_of_both_sexes() -> None:
    assert {name[:2] for name in VOICES} >= {"af", "am", "bf", "bm", "zf", "zm"}


@pytest.mark.parametrize(
    "text",
    ["At 7:30, $5.99.", "mail a@b.com", "😀", "我用Python。", "Привет", "99.80元", "Say 你好!"],
)
def test_hard_strings_are_audible(kokoro: KokoroEngine, text: str) -> None:
    assert_speech(say(kokoro, text), 0.3)


def test_chinese_with_an_english_voice_and_the_reverse(kokoro: KokoroEngine) -> None:
    assert_speech(say(kokoro, "早上好。", "am_michael"), 0.4)
    assert_speech(say(kokoro, "Morning.", "zm_yunxi"), 0.3)


def test_a_number_alone_is_read_in_the_voices_language(
    kokoro: KokoroEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = []

    def recording(text: str, language: str) -> list[str]:
        heard.append((text, language))
        return []

    monkeypatch.setattr(engine, "phonemes", recording)
    for voice in ("af_heart", "zm_yunxi"):
        stream = opened(kokoro, voice)
        stream.write("42", final=True)
        kokoro.step([stream])
    assert heard == [("42", "en"), ("42", "zh")]


def test_sentences_chunks_and_positions(kokoro: KokoroEngine) -> None:
    text = "However, nobody knew what would happen next, because it rained. Two."
    stream = opened(kokoro)
    stream.write(text, final=True)
    found = chunks(kokoro, stream)
    assert [chunk.sentence for chunk in found] == [Span(0, 63), None, Span(64, 68)]
    assert [text[slice(*chunk.text)] for chunk in found][1:] == ["because it rained.", "Two."]


def test_no_step_within_a_chunk_is_a_click(kokoro: KokoroEngine) -> None:
    pcm = say(kokoro, "However, the rain went on.")
    assert np.abs(np.diff(pcm)).max() < 0.5


def test_silence_at_the_ends_is_trimmed(kokoro: KokoroEngine) -> None:
    pcm = say(kokoro, "Hi there!")
    loud = np.flatnonzero(np.abs(pcm) > 0.01 * np.abs(pcm).max())  # raw: 0.37 s and 0.45 s
    assert loud[0] < 0.15 * engine.SAMPLE_RATE
    assert len(pcm) - loud[-1] < 0.2 * engine.SAMPLE_RATE


def test_speed(kokoro: KokoroEngine) -> None:
    slow, fast = (say(kokoro, "Good morning, everybody.", speed=speed) for speed in (0.7, 1.6))
    assert len(fast) < 0.65 * len(slow)


def test_the_style_row_is_that_of_the_number_of_phonemes(
    kokoro: KokoroEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}

    class Model:
        def run(
            self, _: None, inputs: dict[str, NDArray[np.float32]], __: object
        ) -> list[NDArray[np.float32]]:
            seen.update(inputs)
            return [np.zeros(100, np.float32)]

    monkeypatch.setattr(kokoro, "_model", Model())
    say(kokoro, "Hi there!")
    style = engine.read_style(PACKS / "af_heart")
    assert seen["tokens"].tolist() == [[0, 50, 156, 25, 16, 81, 156, 86, 123, 5, 0]]
    assert np.array_equal(seen["style"], style[8:9])


def test_broken_sound_is_an_error_not_a_scream(
    kokoro: KokoroEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Model:
        def run(self, *_: object) -> list[NDArray[np.float32]]:
            return [np.full(2400, np.inf, np.float32)]

    monkeypatch.setattr(kokoro, "_model", Model())
    with pytest.raises(Internal, match="broken sound"):
        say(kokoro, "Hi.")


@pytest.mark.parametrize("text", ["", "  ", "?!…", "\u200b"])
def test_nothing_speakable(kokoro: KokoroEngine, text: str) -> None:
    with pytest.raises(EmptyText, match="give some words"):
        say(kokoro, text)


def test_interrupt_during_an_inference_and_then_speak_again(kokoro: KokoroEngine) -> None:
    stream = opened(kokoro)
    stream.write(LONG * 3, final=True)
    model, running = kokoro._model, threading.Event()

    class Signalling:
        def run(self, *arguments: object) -> object:
            running.set()
            return model.run(*arguments)

    def interrupt() -> None:
        assert running.wait(60)
        stream.interrupt()

    thread = threading.Thread(target=interrupt)
    thread.start()
    kokoro._model = Signalling()
    try:
        with pytest.raises(Interrupted):
            while kokoro.step([stream])[0] is not None:
                pass
    finally:
        kokoro._model = model
        thread.join()
    stream.close()
    assert_speech(say(kokoro, "Again."), 0.3)


def test_two_streams_take_turns(kokoro: KokoroEngine) -> None:
    first, second = opened(kokoro), opened(kokoro, "bm_george")
    first.write("One. Two.", final=True)
    second.write("Three.", final=True)
    assert all(isinstance(kokoro.step([s])[0], Chunk) for s in (first, second, first))
    assert kokoro.step([first, second]) == [None, None]


def test_what_it_cannot_do_is_said_at_once(kokoro: KokoroEngine) -> None:
    pack = voicepack.load(PACKS / "af_heart")
    with pytest.raises(Unsupported, match="en and zh"):
        kokoro.open(Request(voice=pack, language="fr"))
    with pytest.raises(Unsupported, match="instructions"):
        kokoro.open(Request(voice=pack, instruct="whisper"))


def test_a_voice_without_its_style(kokoro: KokoroEngine, tmp_path: Path) -> None:
    manifest = (PACKS / "af_heart" / "metadata.yaml").read_text()
    (tmp_path / "metadata.yaml").write_text(manifest)
    pack = voicepack.load(tmp_path)
    with pytest.raises(VoiceNotFound, match=r"style\.npz"):
        kokoro.open(Request(voice=pack))
    np.savez(tmp_path / "style.npz", style=np.zeros((2, 2), np.float32))
    with pytest.raises(VoiceNotFound, match="reinstall"):
        kokoro.open(Request(voice=pack))


def test_warm_up(kokoro: KokoroEngine) -> None:
    kokoro.warm_up()


def test_no_other_model() -> None:
    with pytest.raises(ModelNotFound, match="kokoro-82m"):
        loading.load("kokoro-1000b", Settings(Path()))


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(ModelLoadFailed, match=r"model\.onnx"):
        loading.session(path)
