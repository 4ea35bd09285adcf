"""One `say`: its fields, its audio, its loudness, its marks and the ways it fails at once."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from tests.conformance.plain_client import Message, Peer, still_speaks

RATES = (8000, 16000, 22050, 24000, 44100, 48000)
INF, NAN = float("inf"), float("nan")
BAD: dict[str, list[Any]] = {
    "text": [7, b"x", ["x"], True],
    "final": [1, "true", b""],
    "voice": [7, b"tone", ["tone"]],
    "language": [7, b"en", ["en"]],
    "instruct": [7, b"x", {}],
    "speed": [0.49, 2.01, 0, -1.0, INF, NAN, "1", True, b"1"],
    "volume": [-0.01, 2.01, INF, NAN, "1", False],
    "sample_rate": [0, 1, -48000, 11025, 96000, 2**40, 48000.5, "48000", True],
    "encoding": ["", "s16be", "S16LE", "mp3", 16, b"s16le"],
    "frame_ms": [9, 101, 0, -20, 20.5, "20", True],
    "loudness": [-40.1, -4.9, 0, 16.0, INF, -INF, NAN, "-16", True],
    "pace": ["fast", "", 1, True],
    "seed": ["1", 1.5, b"1", True],
    "priority": [-11, 11, 0.5, "0", True],
    "channel": [1, b"c", ["c"]],
    "interrupt": [0, 1, "false"],
    "ssml": [0, 1, "false"],
    "marks": [0, 1, "true"],
    "keep_alive": ["300", NAN, True, b"1"],
}


def rms(samples: list[float]) -> float:
    """Root mean square."""
    return math.sqrt(sum(sample * sample for sample in samples) / len(samples))


def decibels(ratio: float) -> float:
    """A ratio of amplitudes in dB."""
    return 20 * math.log10(ratio)


@pytest.mark.parametrize("field", BAD)
def test_a_wrong_field_fails_its_utterance_alone(peer: Peer, field: str) -> None:
    for value in BAD[field]:
        heard = peer.speak(**{"text": "One.", field: value})
        assert heard.end["type"] == "failed", value
        assert heard.end["code"] == "bad_request", value
        assert field in heard.end["message"], value
        assert not heard.started
    still_speaks(peer)


@pytest.mark.parametrize(
    "id", [None, -1, 2**31, 2**63, -(2**63), 1.0, "1", b"1", True, [1], "absent"]
)
def test_a_say_without_a_usable_id_is_an_error(peer: Peer, id: object) -> None:
    say: Message = {"type": "say", "id": id, "text": "One."}
    if id == "absent":
        del say["id"]
    answer = peer.ask(say)
    assert (answer["type"], answer["code"]) == ("error", "bad_request")
    assert "id" in answer["message"]
    still_speaks(peer)


def test_a_say_without_text_is_a_bad_request(peer: Peer) -> None:
    answer = peer.ask({"type": "say", "id": 1})
    assert (answer["type"], answer["code"], answer["id"]) == ("failed", "bad_request", 1)
    assert "text" in answer["message"]
    peer.last_id = 1
    still_speaks(peer)


@pytest.mark.parametrize("id", [0, 1, 1000, 2**31 - 1])
def test_ids_may_be_anything_in_range(peer: Peer, id: int) -> None:
    peer.send({"type": "say", "id": id, "text": "One."})
    assert peer.hear(id).end["type"] == "finished"


def test_an_id_that_does_not_grow_is_an_error_and_harms_nobody(peer: Peer) -> None:
    peer.last_id = 4
    going = peer.say("One. Two. Three.", instruct="slow_ms=100")
    for id in (5, 4, 0):
        peer.send({"type": "say", "id": id, "text": "Again."})
        assert peer.until("error")["code"] == "bad_request"
    heard = peer.hear(going)
    assert heard.end["type"] == "finished"
    assert heard.seconds == pytest.approx(0.3, abs=0.01)
    peer.send({"type": "say", "id": going, "text": "Again."})
    assert peer.next()["code"] == "bad_request"
    still_speaks(peer)


def test_a_failed_say_has_used_its_id(peer: Peer) -> None:
    assert peer.speak("One.", speed=9).end["code"] == "bad_request"
    answer = peer.ask({"type": "say", "id": 1, "text": "One."})
    assert (answer["type"], answer["code"]) == ("error", "bad_request")
    peer.send({"type": "stop", "id": 1})
    assert peer.quiet() == []
    still_speaks(peer)


@pytest.mark.parametrize("rate", RATES)
def test_every_format_has_the_length_and_the_pitch_it_should(peer: Peer, rate: int) -> None:
    for encoding, frame_ms in itertools.product(("s16le", "f32le"), (10, 13, 20, 33, 100)):
        form = {"sample_rate": rate, "encoding": encoding, "frame_ms": frame_ms}
        heard = peer.speak("aaa", instruct="word_ms=250", **form)
        assert {key: heard.started[key] for key in ("sample_rate", "encoding")} == {
            "sample_rate": rate,
            "encoding": encoding,
        }
        assert abs(heard.started["frame_samples"] - rate * frame_ms / 1000) <= 0.5
        assert heard.end["samples"] == pytest.approx(rate * 0.25, abs=2)
        assert heard.end["stats"]["audio_ms"] == pytest.approx(250, abs=1)
        samples = heard.samples
        assert max(map(abs, samples)) <= 1.0
        middle = samples[len(samples) // 5 : -len(samples) // 5]
        rises = sum(a < 0 <= b for a, b in itertools.pairwise(middle))
        # one period may be cut at each end of the piece
        assert rises == pytest.approx(491 * len(middle) / rate, abs=1.01)


def test_both_encodings_carry_the_same_sound(peer: Peer) -> None:
    one, other = (
        peer.speak("One two.", encoding=encoding, seed=1).samples for encoding in ("s16le", "f32le")
    )
    # one step of 16 bits for rounding, one for dither
    assert max(abs(a - b) for a, b in zip(one, other, strict=True)) <= 2 / 32768


def test_the_same_seed_says_the_same(peer: Peer) -> None:
    one, other = (peer.speak("One two. Three.", seed=7).pcm for _ in range(2))
    assert one == other


def test_a_frame_is_twenty_milliseconds_of_48_khz_unless_asked(peer: Peer) -> None:
    started = peer.speak("One.").started
    assert started["frame_samples"] == 960
    assert (started["sample_rate"], started["encoding"]) == (48000, "s16le")
    assert (started["voice"], started["model"]) == ("tone", "tone")
    assert started["queue_ms"] >= 0
    assert started["load_ms"] >= 0


def test_speed(peer: Peer) -> None:
    for speed in (0.5, 1, 1.0, 2.0, 2):
        heard = peer.speak("One two three four.", speed=speed)
        assert heard.seconds == pytest.approx(0.4 / speed, rel=0.01)


def test_volume(peer: Peer) -> None:
    full = rms(peer.speak("aaa", loudness=None, instruct="word_ms=300").samples)
    for volume in (0.5, 1.5, 2, 2.0):
        samples = peer.speak("aaa", loudness=None, instruct="word_ms=300", volume=volume).samples
        assert rms(samples) == pytest.approx(full * volume, rel=0.01)
    assert not any(peer.speak("aaa", volume=0).samples)


def test_the_loudest_there_is_does_not_clip(peer: Peer) -> None:
    heard = peer.speak("aaa bbb", loudness=-5, volume=2.0, encoding="f32le")
    assert heard.end["type"] == "finished"
    assert max(map(abs, heard.samples)) <= 1.0


def test_loudness(peer: Peer) -> None:
    long = {"text": "aaa bbb ccc ddd", "instruct": "word_ms=500"}
    raw = rms(peer.speak(**long, loudness=None).samples)
    # a sine of amplitude 0.25, ramps aside: nil leaves the engine's level alone
    assert decibels(raw / (0.25 / math.sqrt(2))) == pytest.approx(0, abs=0.2)
    levels = {db: rms(peer.speak(**long, loudness=db).samples) for db in (-16.0, -23, -40)}
    assert decibels(levels[-23] / levels[-16.0]) == pytest.approx(-7, abs=0.5)
    assert decibels(levels[-40] / levels[-16.0]) == pytest.approx(-24, abs=0.5)
    assert rms(peer.speak(**long).samples) == pytest.approx(levels[-16.0], rel=0.01)


def test_marks_tell_where_every_sentence_is(peer: Peer) -> None:
    text = "One. Two three! Is that four? 好的。Five"
    heard = peer.speak(text)
    spoken = [text[mark["start"] : mark["end"]].strip() for mark in heard.marks]
    assert spoken == ["One.", "Two three!", "Is that four?", "好的。", "Five"]
    words = [0, 1, 3, 6, 7]
    for mark, before in zip(heard.marks, words, strict=True):
        assert mark["offset"] == pytest.approx(before * 4800, abs=960)
    offsets = [m["offset"] for m in peer.log if m["type"] in ("mark", "audio")]
    assert offsets[0] == 0
    assert peer.log[1]["type"] == "mark"


def test_marks_may_be_off(peer: Peer) -> None:
    assert peer.speak("One. Two.", marks=False).marks == []


def test_positions_are_characters_whatever_their_width(peer: Peer) -> None:
    heard = peer.speak("😀 hi. 好。")
    assert [(mark["start"], mark["end"]) for mark in heard.marks][-1][1] == 8


def test_stats_are_told(peer: Peer) -> None:
    stats = peer.speak("One two three.", instruct="slow_ms=30").end["stats"]
    assert stats["audio_ms"] == pytest.approx(300, abs=1)
    assert stats["synth_ms"] >= 29
    assert stats["ttfa_ms"] >= 29
    assert stats["rtf"] == pytest.approx(stats["synth_ms"] / stats["audio_ms"], rel=0.02)


@pytest.mark.parametrize(
    "text", ["", " ", " \n\t\r ", "...", "?!", "。，！", "\x00\x01\x1b", "\u200b\ufeff", "—"]
)
def test_a_text_with_nothing_to_speak_fails(peer: Peer, text: str) -> None:
    heard = peer.speak(text)
    assert (heard.end["type"], heard.end["code"]) == ("failed", "empty_text")
    assert not heard.audio
    still_speaks(peer)


def test_the_longest_text_is_spoken_and_one_more_is_too_long(peer: Peer) -> None:
    fast = {"instruct": "word_ms=1", "sample_rate": 8000}
    heard = peer.speak("好" * 4999 + "。", **fast)
    assert heard.end["type"] == "finished"
    assert heard.marks[-1]["end"] == 5000
    heard = peer.speak("a" * 5001, **fast)
    assert (heard.end["type"], heard.end["code"]) == ("failed", "text_too_long")
    still_speaks(peer)


def test_an_unknown_voice_comes_with_near_matches(peer: Peer) -> None:
    for name in ("tonne", "TONE ", "tone-brokn"):
        end = peer.speak("One.", voice=name).end
        assert (end["type"], end["code"]) == ("failed", "voice_not_found")
        assert "tone" in end["message"].replace(name, "")
    for name in ("", "../tone", "/etc/passwd", "x\0y", "x" * 256):
        assert peer.speak("One.", voice=name).end["code"] == "voice_not_found"
    assert peer.speak("One.", voice="x" * 2_000_000).end["code"] == "bad_request"
    still_speaks(peer)


def test_what_the_engine_cannot_do_is_refused(peer: Peer) -> None:
    assert peer.speak("<speak>One.</speak>", ssml=True).end["code"] == "unsupported"
    end = peer.speak("One.", voice="af_heart", instruct="cheerful").end
    assert (end["type"], end["code"]) == ("failed", "unsupported")
    assert "tone" in end["message"]  # a voice that can
    assert peer.speak("One.", instruct="no such knob").end["type"] == "failed"
    still_speaks(peer)


def test_odd_but_allowed_values(peer: Peer) -> None:
    odd: dict[str, Any] = {"seed": 2**31 - 1, "priority": -10, "channel": "", "language": "en"}
    assert peer.speak("One.", **odd).end["type"] == "finished"
    assert peer.speak("One.", channel="好" * 80, priority=10).end["type"] == "finished"
    for seed in (0, -1, 2**63, 2**64 - 1, -(2**63)):
        assert peer.speak("One.", seed=seed).end["type"] in ("finished", "failed")
    still_speaks(peer)


def test_one_utterance_too_many_is_busy(peer: Peer, other: Peer) -> None:
    most = peer.ask({"type": "hello", "version": 1})["limits"]["max_utterances"]
    ids = [peer.say("One. " * 40, instruct="slow_ms=20", channel="c") for _ in range(most)]
    end = peer.speak("One.").end
    assert (end["type"], end["code"]) == ("failed", "busy")
    still_speaks(other)
    peer.send({"type": "stop"})
    for id in ids:
        assert peer.hear(id).end["type"] == "stopped"
    still_speaks(peer)
