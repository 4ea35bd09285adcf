"""One utterance: frames, marks, offsets, positions, and exactly one end."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosyd.daemon.utterance import Text, Utterance
from cosyd.errors import Internal
from tests.daemon.fakes import VOICE, FakeClock, FakeOwner, drain, state


class FakeSource:
    """Keeps what it is asked."""

    def __init__(self) -> None:
        self.granted = 0
        self.texts: list[Text] = []

    def write(self, _utterance: Utterance, text: Text) -> None:
        self.texts.append(text)

    def grant(self, _utterance: Utterance, samples: int) -> None:
        self.granted += samples


class Stand:
    """An utterance on a stand."""

    def __init__(self, **fields: Any) -> None:
        from cosyd.wire.messages import check_client

        self.clock, self.owner, self.source = FakeClock(), FakeOwner(), FakeSource()
        asked = check_client({"type": "say", "id": 7, "text": "Hi.", **fields})
        self.utterance = Utterance(asked, VOICE, self.owner, self.clock.now)

    def begin(self) -> Utterance:
        self.utterance.begin(self.source, cold=False, queue_ms=0, load_ms=0)
        return self.utterance

    def chunk(self, samples: int, text_end: int = 0) -> None:
        report = {"type": "chunk", "pcm": bytes(range(2)) * samples, "text_end": text_end}
        self.utterance.on_chunk(report)

    def sentence(self, offset: int, start: int, end: int) -> None:
        report = {"type": "sentence", "offset": offset, "start": start, "end": end}
        self.utterance.on_sentence(report)

    def done(self, samples: int) -> None:
        self.utterance.on_done({"type": "done", "samples": samples, "synth_ms": 10.0})

    def drain(self) -> None:
        drain(self.utterance, self.owner)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.owner.sent if message["type"] == kind]


@given(st.lists(st.integers(1, 5000), max_size=20), st.sampled_from([10, 20, 33, 100]))
def test_frames_cover_all_audio_without_gap(chunks: list[int], frame_ms: int) -> None:
    stand = Stand(frame_ms=frame_ms)
    stand.begin()
    for samples in chunks:
        stand.chunk(samples)
        stand.drain()
    stand.done(sum(chunks))
    stand.drain()
    size = stand.utterance.frame_samples
    frames = stand.of("audio")
    assert [frame["offset"] for frame in frames] == [n * size for n in range(len(frames))]
    assert all(len(frame["pcm"]) == 2 * size for frame in frames)
    pcm = b"".join(frame["pcm"] for frame in frames)
    assert pcm[: 2 * sum(chunks)] == bytes(range(2)) * sum(chunks)
    assert not any(pcm[2 * sum(chunks) :]) and len(pcm) - 2 * sum(chunks) < 2 * size
    assert stand.of("finished")[0]["samples"] == sum(chunks)


def test_marks_come_before_the_audio_at_their_offset() -> None:
    stand = Stand()
    stand.begin()
    for number in range(3):
        stand.sentence(number * 1000, number * 10, number * 10 + 9)
        stand.chunk(1000)
    stand.done(3000)
    stand.drain()
    told = [(m["type"], m["offset"]) for m in stand.owner.sent if m["type"] in ("mark", "audio")]
    assert told == [
        ("mark", 0),
        ("audio", 0),
        ("mark", 1000),
        ("audio", 960),
        ("mark", 2000),
        ("audio", 1920),
        ("audio", 2880),
    ]


def test_no_marks_if_not_wanted() -> None:
    stand = Stand(marks=False)
    stand.begin()
    stand.sentence(0, 0, 3)
    stand.chunk(960)
    stand.drain()
    assert not stand.of("mark")


def test_paused_sends_nothing_and_does_not_finish() -> None:
    stand = Stand()
    utterance = stand.begin()
    stand.chunk(4000)
    stand.done(4000)
    utterance.pause()
    stand.drain()
    assert stand.owner.kinds() == ["started", "paused"]
    utterance.resume()
    stand.drain()
    assert stand.owner.kinds()[-1] == "finished"
    assert [frame["offset"] for frame in stand.of("audio")] == [0, 960, 1920, 2880, 3840]


def test_repeated_control_messages_are_silence() -> None:
    stand = Stand()
    utterance = stand.begin()
    for action in ("resume", "pause", "pause", "resume", "resume", "stop", "stop", "pause"):
        getattr(utterance, action)()
    assert stand.owner.kinds() == ["started", "paused", "resumed", "stopped"]
    utterance.fail(Internal("too late"))
    assert stand.owner.over == [utterance]


def test_paused_before_its_turn_begins_paused() -> None:
    stand = Stand()
    stand.utterance.pause()
    assert stand.of("paused")[0]["offset"] == 0 and state(stand.utterance) == "held"
    stand.begin()
    assert state(stand.utterance) == "paused"
    stand.chunk(960)
    stand.drain()
    assert not stand.of("audio")


def test_text_end_is_estimated_between_chunks() -> None:
    stand = Stand()
    utterance = stand.begin()
    stand.chunk(9600, text_end=100)
    stand.chunk(9600, text_end=140)
    for _ in range(5):
        utterance.pull()
    utterance.pause()
    assert stand.of("paused")[0] == {"type": "paused", "id": 7, "offset": 4800, "text_end": 50}
    utterance.resume()
    for _ in range(10):
        utterance.pull()
    utterance.stop()
    assert stand.of("stopped")[0]["text_end"] == 120


def test_credit_is_given_back_as_audio_leaves_and_never_more_than_left() -> None:
    stand = Stand()
    stand.begin()
    stand.chunk(stand.utterance.window_samples)
    assert stand.source.granted == 0
    stand.drain()
    left = stand.utterance.window_samples - stand.source.granted
    assert 0 <= left < stand.utterance.window_samples // 8


def test_text_goes_to_the_source_once_it_began() -> None:
    stand = Stand(final=False)
    stand.utterance.write(Text("more", False, True))
    assert [text.text for text in stand.utterance.waiting_text] == ["Hi.", "more"]
    stand.begin()
    stand.utterance.write(Text("", True, False))
    assert stand.source.texts == [Text("", True, False)]
    assert stand.utterance.text_final


def test_realtime_pace_waits() -> None:
    stand = Stand(pace="realtime")
    stand.begin()
    stand.chunk(48000)
    stand.drain()
    assert len(stand.of("audio")) == 10, "200 ms"
    pulled = stand.utterance.pull()
    assert pulled == pytest.approx(0.02, abs=1e-6)
    stand.clock.pass_s(0.0201)
    stand.drain()
    assert len(stand.of("audio")) == 11


def test_realtime_offsets_have_no_gap_over_a_pause() -> None:
    stand = Stand(pace="realtime")
    utterance = stand.begin()
    stand.chunk(48000)
    stand.drain()
    utterance.pause()
    stand.clock.pass_s(60)
    utterance.resume()
    stand.drain()
    offsets = [frame["offset"] for frame in stand.of("audio")]
    assert all(after - before == 960 for before, after in pairwise(offsets))
    assert len(offsets) == 10, "nothing was heard while paused"


def test_failed_says_code_and_whether_to_retry() -> None:
    stand = Stand()
    stand.begin().fail(Internal("oh"))
    assert stand.of("failed") == [
        {"type": "failed", "id": 7, "code": "internal", "message": "oh", "retryable": False}
    ]


def test_abandoned_tells_nobody() -> None:
    stand = Stand()
    stand.begin().abandon()
    assert stand.owner.kinds() == ["started"] and stand.owner.over
