"""What both clients promise, against a real daemon and a real worker with the tone engine."""

from __future__ import annotations

import threading
import wave
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import cosyd
from cosyd import errors
from tests.client.helpers import LONG, spoken

Connect = Callable[..., cosyd.Client]

# --- what comes --------------------------------------------------------------------------------


def test_hello(client: cosyd.Client) -> None:
    hello = client.hello
    assert hello.version == 1
    assert hello.server == f"cosyd/{cosyd.__version__}"
    assert hello.pid == client.status()["pid"]
    assert hello.limits["max_text_chars"] == 5000


def test_frames_are_of_one_size_and_the_same_every_time(client: cosyd.Client) -> None:
    utterance = client.say("One two three. Four five.")
    frames = list(utterance)
    assert {len(frame) for frame in frames} == {960 * 2}
    result = utterance.result
    assert result.kind == "finished"
    assert 0 <= len(frames) * 960 - result.samples < 960
    assert set(result.stats) == {"ttfa_ms", "synth_ms", "audio_ms", "rtf"}
    assert utterance.offset == len(frames) * 960
    assert b"".join(frames) == spoken(client, "One two three. Four five.")


def test_started_says_how_it_is_spoken(client: cosyd.Client) -> None:
    utterance = client.say("One.", sample_rate=22050, encoding="f32le", frame_ms=40)
    started = utterance.started
    assert started is not None
    assert (started.voice, started.model, started.channels) == ("tone", "tone", 1)
    assert (started.sample_rate, started.encoding) == (22050, "f32le")
    assert started.frame_samples == 882
    assert {len(frame) for frame in utterance} == {882 * 4}
    assert utterance.started == started


def test_marks_say_where_sentences_begin(client: cosyd.Client) -> None:
    text = "One two three. Four five.  Six."
    utterance = client.say(text)
    assert list(utterance)
    marks = utterance.marks
    assert [text[mark.start : mark.end] for mark in marks] == [
        "One two three.",
        "Four five.",
        "Six.",
    ]
    assert [mark.offset for mark in marks] == [0, 3 * 4800, 5 * 4800]
    unmarked = client.say(text, marks=False)
    assert unmarked.result.kind == "finished"
    assert unmarked.marks == []


def test_loudness_off_and_volume_change_the_sound(client: cosyd.Client) -> None:
    usual = spoken(client, "One two three.")
    assert spoken(client, "One two three.", loudness=None) != usual
    assert spoken(client, "One two three.", volume=0.25) != usual
    assert set(spoken(client, "One two three.", volume=0.0)) == {0}
    assert len(spoken(client, "One two three.", speed=2.0)) < len(usual)


def test_fields_given_as_none_are_the_daemons_to_choose(client: cosyd.Client) -> None:
    assert spoken(client, "One.", voice=None, speed=None, loudness=...) == spoken(client, "One.")


def test_an_unknown_field_is_a_type_error(client: cosyd.Client) -> None:
    with pytest.raises(TypeError, match="voise"):
        client.say("One.", voise="tone")  # type: ignore[call-arg] # the mistake is the point


def test_text_of_any_length_is_spoken(client: cosyd.Client) -> None:
    text = "word word word word word word. " * 400  # 12,400 characters, so three messages
    utterance = client.say(text, instruct="word_ms=2")
    assert utterance.result.kind == "finished"
    assert len(utterance.marks) == 400
    assert utterance.marks[-1].end == len(text.rstrip())


def test_the_result_needs_no_listener_and_loses_nothing(client: cosyd.Client) -> None:
    utterance = client.say(LONG)  # 600 frames: more than an inbox takes
    samples = utterance.result.samples
    assert samples == 12 * 10 * 4800
    assert len(b"".join(utterance)) == samples * 2


# --- text that comes bit by bit ----------------------------------------------------------------


def test_speech_begins_with_the_first_sentence(client: cosyd.Client) -> None:
    utterance = client.say("", final=False)
    utterance.write("One two th")
    utterance.write("ree. Four")
    frames = iter(utterance)
    heard = [next(frames) for _ in range(10)]
    utterance.write(" five.")
    utterance.end(" Six.")
    heard += frames
    assert b"".join(heard) == spoken(client, "One two three. Four five. Six.")
    assert [mark.start for mark in utterance.marks] == [0, 15, 26]


def test_flush_speaks_what_is_there(client: cosyd.Client) -> None:
    utterance = client.say("", final=False)
    utterance.write("One two", flush=True)
    frames = iter(utterance)
    assert len([next(frames) for _ in range(5)]) == 5
    utterance.end()
    list(frames)
    assert utterance.result.samples == 2 * 4800


def test_text_after_the_end_is_a_bad_request(client: cosyd.Client) -> None:
    utterance = client.say("One.")
    for more in (utterance.write, utterance.end):
        with pytest.raises(errors.BadRequest, match="all its text"):
            more("Two.")
    assert utterance.result.kind == "finished"


# --- errors ------------------------------------------------------------------------------------

REFUSED = {
    "voice_not_found": ("One.", {"voice": "tona"}, errors.VoiceNotFound),
    "bad field": ("One.", {"speed": 9.0}, errors.BadRequest),
    "bad instruction": ("One.", {"instruct": "whisper"}, errors.BadRequest),
    "nothing to say": ("", {}, errors.EmptyText),
    "nothing speakable": ("...", {}, errors.EmptyText),
    "broken weights": ("One.", {"voice": "tone-broken"}, errors.ModelLoadFailed),
    "a bug of the engine": ("One. Two.", {"instruct": "fail_after=1"}, errors.Internal),
    "a dead engine": ("One. Two.", {"instruct": "crash_after=1"}, errors.EngineCrashed),
}


@pytest.mark.parametrize(("text", "fields", "kind"), REFUSED.values(), ids=list(REFUSED))
def test_errors_have_classes_and_the_connection_lives_on(
    client: cosyd.Client, text: str, fields: dict[str, Any], kind: type[errors.CosydError]
) -> None:
    utterance = client.say(text, **fields)
    with pytest.raises(kind) as iterating:
        list(utterance)
    with pytest.raises(kind) as result:
        _ = utterance.result
    assert iterating.value.message == result.value.message != ""
    assert "\n" not in result.value.message
    assert client.say("One.").result.kind == "finished"


def test_started_raises_what_failed_before_it(client: cosyd.Client) -> None:
    with pytest.raises(errors.VoiceNotFound, match="tone"):
        _ = client.say("One.", voice="tona").started


def test_saving_what_fails_leaves_no_file(client: cosyd.Client, tmp_path: Path) -> None:
    with pytest.raises(errors.Internal):
        client.say("One. Two.", instruct="fail_after=1").save(tmp_path / "x.wav")
    assert list(tmp_path.iterdir()) == []


def test_unreachable_after_close(connect: Connect, shared_home: object) -> None:
    del shared_home
    with connect() as client:
        utterance = client.say(LONG, pace="realtime")
        frames = iter(utterance)
        next(frames)
    with pytest.raises(errors.Unreachable, match="closed"):
        list(frames)
    with pytest.raises(errors.Unreachable, match="closed"):
        _ = utterance.result
    with pytest.raises(errors.Unreachable, match="closed"):
        client.ping()
    client.close()


def test_closing_ends_a_wait_in_another_thread(connect: Connect, shared_home: object) -> None:
    del shared_home
    client = connect()
    utterance = client.say("One.", instruct="slow_ms=60000")
    client.ping()
    threading.Timer(0.1, client.close).start()
    with pytest.raises(errors.Unreachable):
        list(utterance)


# --- several at once ---------------------------------------------------------------------------


def test_an_utterance_that_nobody_listens_to_blocks_nobody(client: cosyd.Client) -> None:
    whole = spoken(client, LONG)
    unheard = client.say(LONG)
    assert len(spoken(client, "One two.")) == 10 * 1920
    assert client.say(LONG).result.samples == 12 * 10 * 4800
    assert b"".join(unheard) == whole


def test_threads_share_a_connection(client: cosyd.Client) -> None:
    expected = {n: spoken(client, "word " * n + ".") for n in range(1, 9)}
    got: dict[int, bytes] = {}
    pings: list[float] = []

    def listen(n: int) -> None:
        got[n] = spoken(client, "word " * n + ".")
        pings.append(client.ping())
        utterance = client.say(LONG, pace="realtime")
        next(iter(utterance))
        utterance.stop()
        assert utterance.result.kind == "stopped"
        pings.append(client.ping())

    threads = [threading.Thread(target=listen, args=(n,)) for n in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert got == expected
    assert len(pings) == 16


def test_ping_during_speech(client: cosyd.Client) -> None:
    utterance = client.say("One. Two.", instruct="busy_ms=300")
    assert client.ping() < 1000  # not 300 ms × 2 sentences, and not for ever
    assert not utterance.offset
    assert utterance.result.kind == "finished"


# --- management --------------------------------------------------------------------------------


def test_voices(client: cosyd.Client) -> None:
    tone = next(voice for voice in client.voices() if voice["name"] == "tone")
    assert (tone["engine"], tone["sample_rate"], tone["installed"]) == ("tone", 24000, True)


def test_status_counts(client: cosyd.Client) -> None:
    before = client.status()["utterances"]
    client.say("One.").result  # noqa: B018 - waits for its end
    utterance = client.say(LONG, pace="realtime")
    assert utterance.started
    status = client.status()
    assert status["utterances"]["finished"] == before["finished"] + 1
    assert status["utterances"]["active"] == 1
    assert status["idle_exit_in_s"] is None
    assert "tone" in [model["model"] for model in status["models"]]
    utterance.stop()


def test_load_and_unload(client: cosyd.Client) -> None:
    assert client.load(voice="tone")["model"] == "tone"
    assert client.load(model="tone")["load_ms"] >= 0
    utterance = client.say(LONG, pace="realtime")
    assert utterance.started
    with pytest.raises(errors.Busy):
        client.unload("tone")
    utterance.stop()
    assert utterance.result
    assert client.unload("tone") == ["tone"]
    assert client.unload() == []
    cold = client.say("One.")
    assert cold.started is not None
    assert cold.started.cold


def test_what_cannot_be_loaded_or_unloaded(client: cosyd.Client) -> None:
    with pytest.raises(errors.ModelNotFound):
        client.load(model="nothing")
    with pytest.raises(errors.ModelNotFound):
        client.unload("nothing")
    with pytest.raises(errors.VoiceNotFound):
        client.load(voice="nobody")
    with pytest.raises(errors.ModelLoadFailed):
        client.load(voice="tone-broken")
    with pytest.raises(errors.BadRequest):
        client.load()


# --- files -------------------------------------------------------------------------------------


def test_save_cuts_the_padding(client: cosyd.Client, tmp_path: Path) -> None:
    utterance = client.say("One two three.", instruct="word_ms=33", sample_rate=24000)
    result = utterance.save(tmp_path / "x.wav")
    assert result.samples == 3 * 792
    with wave.open(str(tmp_path / "x.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24000, 1, 2)
        assert file.getnframes() == result.samples
        sound = file.readframes(file.getnframes())
    whole = spoken(client, "One two three.", instruct="word_ms=33", sample_rate=24000)
    assert whole.startswith(sound)
    assert set(whole[len(sound) :]) <= {0}


def test_saving_one_that_is_stopped_keeps_what_came(client: cosyd.Client, tmp_path: Path) -> None:
    utterance = client.say(LONG, pace="realtime")
    assert utterance.started
    threading.Timer(0.3, utterance.stop).start()
    assert utterance.save(tmp_path / "x.wav").kind == "stopped"
    with wave.open(str(tmp_path / "x.wav")) as file:
        assert 0 < file.getnframes() < 12 * 48000


def test_offsets_have_no_gap(client: cosyd.Client) -> None:
    """The core refuses a gap, so this is about it having been looked at at all."""
    utterance = client.say(LONG)
    offsets = [utterance.offset for _ in utterance]
    assert all(before <= after for before, after in pairwise(offsets))
    assert offsets[-1] == 600 * 960
