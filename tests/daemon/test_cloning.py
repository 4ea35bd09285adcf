"""Voices made of recordings, through a real daemon: who goes on, what is left, what is refused."""

from __future__ import annotations

import asyncio
import hashlib
import io
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import soundfile

import cosyd
import cosyd.daemon.cloning as cloning
from cosyd import errors
from cosyd.config import Config
from cosyd.daemon.utterance import Utterance
from cosyd.voices.catalog import Catalog
from cosyd.voices.store import PROMPTS
from cosyd.voices.voicepack import Prompt
from cosyd.wire.messages import check_client
from tests.daemon.fakes import VOICE, Bench

PACK = """
family: tone
model_id: tone
languages: [en]
capabilities: [streaming, text_streaming, instruct, speed]
audio: {sample_rate: 24000, loudness_lufs: -15.0}
license: Apache-2.0
prompts: {available: [{name: calm, path: prompts/calm.wav}, {name: happy, path: prompts/h.wav}]}
"""


def recording(seconds: float = 1.5, level: float = 0.3) -> bytes:
    """A WAV file with a sine."""
    file = io.BytesIO()
    count = round(seconds * 16_000)
    soundfile.write(file, level * np.sin(np.arange(count) * 0.1), 16_000, format="WAV")
    return file.getvalue()


@pytest.fixture
def voicepacks(home: Any) -> Path:
    """Those of the user."""
    return Path(home.env["COSYD_DATA_DIR"]) / "voicepacks"


@pytest.fixture
def mine(voicepacks: Path) -> Path:
    """A voice of the user that can speak here: of the tone engine, with two prompts."""
    folder = voicepacks / "tone" / "mine"
    (folder / PROMPTS).mkdir(parents=True)
    for name in ("calm", "h"):
        (folder / PROMPTS / f"{name}.wav").write_bytes(recording())
    (folder / "metadata.yaml").write_text(PACK)
    return folder


def test_who_speaks_goes_on_when_the_voice_is_removed(mine: Path) -> None:
    text = "one two three. " * 5  # 1.5 s of tones
    with cosyd.connect() as client:
        whole = b"".join(client.say(text, voice="mine"))
        utterance = client.say(text, voice="mine/happy", pace="realtime")
        frames = iter(utterance)
        heard = [next(frames)]
        client.remove_voice("mine")
        assert not mine.exists()
        heard += frames
        assert utterance.result.kind == "finished"
        assert b"".join(heard) == whole
        with pytest.raises(errors.VoiceNotFound):
            client.say("One.", voice="mine").result  # noqa: B018 - waiting is what raises


def test_a_prompt_that_is_not_there_names_those_that_are(mine: Path) -> None:
    del mine
    with cosyd.connect() as client:
        assert client.say("One.", voice="mine/happy").result.kind == "finished"
        with pytest.raises(errors.VoiceNotFound, match="mine/calm, mine/happy"):
            client.say("One.", voice="mine/sad").result  # noqa: B018 - waiting is what raises
        started = client.say("One.", voice="mine/calm").started
        assert started is not None and started.voice == "mine"


@pytest.mark.parametrize("chosen", [None, "calm", "happy"])
def test_the_worker_is_told_which_prompt_speaks(chosen: str | None) -> None:
    prompts = tuple(Prompt(name, Path(f"/fay/{name}.wav"), "") for name in ("calm", "happy"))
    voice = replace(VOICE, prompts=prompts if chosen else (), default_prompt=chosen)
    bench = Bench()
    asked = check_client({"type": "say", "id": 1, "text": "Hi."})
    bench.model.submit(Utterance(asked, voice, bench.owner, bench.clock.now))
    bench.worker.ready()
    assert bench.worker.last("speak")["prompt"] == chosen


def test_a_clone_takes_the_place_of_another_engines_voice(mine: Path, voicepacks: Path) -> None:
    with cosyd.connect() as client:
        entry = client.add_voice("mine", recording(), replace=True)
        assert entry["engine"] == "cosyvoice2"
        assert [v["engine"] for v in client.voices() if v["name"] == "mine"] == ["cosyvoice2"]
    assert not mine.exists()
    assert (voicepacks / "cosyvoice2" / "mine" / "metadata.yaml").exists()


def test_what_was_computed_of_a_recording_goes_with_it(voicepacks: Path) -> None:
    conditioning = voicepacks.parent / "conditioning"
    conditioning.mkdir(parents=True)

    def computed(prompt: str) -> Path:
        (file,) = (voicepacks / "cosyvoice2" / "anna" / PROMPTS).glob(f"{prompt}*.wav")
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        made = conditioning / f"{digest}-0123.safetensors"
        made.write_bytes(b"tensors")
        return made

    other = conditioning / "another.safetensors"
    other.write_bytes(b"tensors")
    with cosyd.connect() as client:
        client.add_voice("anna", recording())
        client.add_voice("anna/happy", recording(1.6))
        default, happy = computed("default"), computed("happy")
        client.add_voice("anna/happy", recording(1.7), replace=True)
        assert default.exists() and not happy.exists()
        happy = computed("happy")
        client.remove_voice("anna/happy")
        assert default.exists() and not happy.exists()
        client.remove_voice("anna")
        assert list(conditioning.iterdir()) == [other]


def test_one_of_many_at_once_gets_the_name(home: Any) -> None:
    del home
    told: list[str] = []

    def add() -> None:
        with cosyd.connect() as client:
            try:
                told.append(client.add_voice("anna", recording())["name"])
            except errors.VoiceExists as error:
                told.append(error.code)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == ["anna", "voice_exists", "voice_exists", "voice_exists"]


def test_a_daemon_that_ends_meanwhile_leaves_no_half_voice(home: Any, voicepacks: Path) -> None:
    with cosyd.connect() as client:
        told: list[Exception] = []

        def add() -> None:
            try:
                client.add_voice("anna", recording(29.0))
            except errors.CosydError as error:
                told.append(error)

        thread = threading.Thread(target=add)
        thread.start()
        with cosyd.connect() as other:
            other.ping()
            other.shutdown(drain=False)
        thread.join(30)
        home.wait_for_end()
    assert [type(error) for error in told] in ([], [errors.Unreachable])
    left = {path.name for path in voicepacks.rglob("*") if path.is_file()}
    assert left in (set(), {"default.wav", "metadata.yaml"})
    assert list(voicepacks.rglob(".draft-*")) == []


def test_a_place_that_cannot_be_written_is_told_in_one_line(voicepacks: Path) -> None:
    voicepacks.parent.mkdir(parents=True)
    voicepacks.write_text("a file where the voices should be")
    with cosyd.connect() as client:
        with pytest.raises(errors.Internal, match="Not a directory: mend that and try again") as e:
            client.add_voice("anna", recording())
        assert "\n" not in e.value.message
        assert client.say("One.").result.kind == "finished"


def test_a_broken_voice_in_the_way_is_left_alone(voicepacks: Path) -> None:
    broken = voicepacks / "cosyvoice2" / "anna"
    broken.mkdir(parents=True)
    (broken / "metadata.yaml").write_text("[")
    with cosyd.connect() as client, pytest.raises(errors.VoiceExists, match="in the way"):
        client.add_voice("anna", recording())
    assert (broken / "metadata.yaml").read_text() == "["
    assert [path.name for path in broken.parent.iterdir()] == ["anna"]


BAD = {
    "silent": recording(level=0.0),
    "0.3 s": recording(0.3),
    "5 min": recording(300.0),
    "overdriven": recording(level=3.0),
    "no sound": b"no sound at all" * 100,
}


def test_after_each_bad_recording_the_connection_speaks(home: Any, voicepacks: Path) -> None:
    del home
    with cosyd.connect() as client:
        for audio in BAD.values():
            with pytest.raises(errors.BadAudio) as caught:
                client.add_voice("anna", audio, text="Hello.")
            assert "\n" not in caught.value.message
            assert client.say("One.").result.kind == "finished"
        with pytest.raises(errors.BadRequest, match="give what is said in it, or leave it out"):
            client.add_voice("anna", recording(1.0), text="word " * 1000)
        assert client.say("One.").result.kind == "finished"
    assert [path for path in voicepacks.rglob("*") if path.is_file()] == []


def test_without_an_engine_that_clones_the_order_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloning, "cloning", lambda: None)
    (tmp_path / "voices" / "tone" / "mine").mkdir(parents=True)
    (tmp_path / "voices" / "tone" / "mine" / "metadata.yaml").write_text(PACK)
    catalog = Catalog([tmp_path / "voices"])
    core: Any = SimpleNamespace(catalog=catalog, config=Config(data_dir=str(tmp_path)))

    def add(name: str, audio: bytes) -> None:
        asked = {"name": name, "audio": audio, "text": "", "language": None, "replace": False}
        asyncio.run(cloning.add(core, cast("dict[str, Any]", asked)))

    with pytest.raises(errors.BadAudio):
        add("mine", recording(0.5))
    with pytest.raises(errors.VoiceExists):
        add("mine", recording())
    with pytest.raises(errors.Unsupported):
        add("new", recording())


def test_letters_are_counted_and_nothing_else() -> None:
    cloning._check_text("a" * 20, 1.0)
    cloning._check_text("字" * 10, 1.0)  # ten syllables a second
    for text in ("a" * 31, "字" * 11):
        with pytest.raises(errors.BadRequest):
            cloning._check_text(text, 1.0)
    cloning._check_text("…, — " * 100, 1.0)
