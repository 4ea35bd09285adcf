"""An utterance in the worker: credit, look-ahead, order of reports, and who goes first."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cosyd.engines.base import Chunk, Span
from cosyd.link.orders import check_report, decoder
from cosyd.worker.scheduler import pick
from cosyd.worker.speech import HEAD_S, LOOKAHEAD_S, Format, Speech, parts

RATE = 24_000


class FakeStream:
    """An engine stream that is always ready."""

    ready = True

    def write(self, text: str, *, final: bool, flush: bool = False) -> None:
        """Nothing to write to."""

    def interrupt(self) -> bool:
        """Nothing runs."""
        return False

    def close(self) -> None:
        """Nothing is held."""


def speech(number: int = 1, credit: int = 1000, priority: int = 0) -> Speech:
    order = {"priority": priority, "credit_samples": credit}
    return Speech(number, FakeStream(), RATE, Format(RATE, "s16le", 1.0), order)


def chunk(samples: int, start: int = 0, end: int = 10) -> Chunk:
    return Chunk(np.full(samples, 0.25, np.float32), Span(start, end), Span(start, end))


def unpack(*reports: bytes) -> list[dict[str, Any]]:
    incoming, out = decoder(), []
    incoming.feed(b"".join(reports))
    while (message := incoming.next_message()) is not None:
        out.append({"type": message["type"], **check_report(message)})
    return out


@given(st.lists(st.integers(0, 30_000), max_size=8), st.lists(st.integers(1, 20_000), max_size=30))
def test_never_more_than_the_credit_and_nothing_is_lost(
    chunks: list[int], grants: list[int]
) -> None:
    speaking, sent, credit = speech(credit=500), 0, 500
    for samples in chunks:
        speaking.take(chunk(samples))
        sent += sum(len(r["pcm"]) // 2 for r in unpack(*speaking.sendable()))
        assert sent <= credit
    speaking.end()
    for grant in [*grants, sum(chunks) + 1]:
        speaking.grant(grant)
        credit += grant
        sent += sum(len(r["pcm"]) // 2 for r in unpack(*speaking.sendable()))
        assert sent <= credit
    assert speaking.finished and sent == speaking.samples == sum(chunks)


def test_sentence_report_has_the_offset_of_its_audio() -> None:
    speaking = speech(credit=10**6)
    first = unpack(*speaking.take(chunk(2400, 0, 5)))
    second = unpack(*speaking.take(chunk(2400, 5, 12)))
    assert (first[0]["offset"], first[0]["start"], first[0]["end"]) == (0, 0, 5)
    assert (second[0]["offset"], second[0]["start"], second[0]["end"]) == (2400, 5, 12)


def test_text_position_grows_with_the_audio_of_a_chunk() -> None:
    speaking = speech(credit=0)
    speaking.take(chunk(24_000, 0, 100))
    speaking.end()
    reached = []
    for _ in range(10):
        speaking.grant(2400)
        reached += [report["text_end"] for report in unpack(*speaking.sendable())]
    assert reached == sorted(reached) and 5 <= reached[0] <= 15 and reached[-1] == 100


@given(st.integers(0, 3 * RATE), st.integers(0, 40), st.integers(0, 200))
def test_the_parts_of_a_chunk_are_the_chunk(samples: int, start: int, length: int) -> None:
    pcm = np.arange(samples, dtype=np.float32)
    whole = Chunk(pcm, Span(start, start + length), Span(start, start + length))
    head, *rest = parts(whole, RATE)
    assert np.array_equal(np.concatenate([part.pcm for part in (head, *rest)]), pcm)
    assert head.sentence == whole.sentence and all(part.sentence is None for part in rest)
    texts = [part.text for part in (head, *rest)]
    assert texts[0].start == start and texts[-1].end == start + length
    assert all(one.end == two.start for one, two in pairwise(texts))
    assert len(head.pcm) <= 2 * HEAD_S * RATE


def test_computes_ahead_but_not_for_ever() -> None:
    speaking = speech(credit=0)
    steps = 0
    while speaking.runnable:
        speaking.take(chunk(RATE))
        steps += 1
    assert LOOKAHEAD_S <= steps <= LOOKAHEAD_S + 1
    speaking.grant(2 * RATE)
    list(speaking.sendable())
    assert speaking.runnable


def test_ended_or_cancelled_gets_no_step() -> None:
    ended, cancelled = speech(), speech()
    ended.end()
    cancelled.cancelled = True
    assert not ended.runnable and not cancelled.runnable
    assert pick([ended, cancelled], 1) == []


def test_first_audio_comes_before_more_of_what_plays() -> None:
    playing, new = speech(1), speech(2)
    playing.take(chunk(RATE))
    assert pick([playing, new], 1) == [new]


def test_priority_before_lead_and_age_between_equals() -> None:
    plain, other, urgent = speech(1), speech(2), speech(3, priority=3)
    urgent.take(chunk(RATE))
    assert pick([plain, other, urgent], 2) == [urgent, plain]


@given(st.lists(st.tuples(st.integers(-10, 10), st.integers(0, 5)), max_size=12), st.integers(1, 4))
def test_nobody_runs_dry_while_others_have_more(wanted: list[tuple[int, int]], batch: int) -> None:
    speeches = []
    for number, (priority, seconds) in enumerate(wanted):
        speeches.append(speech(number, priority=priority))
        if seconds:
            speeches[-1].take(chunk(seconds * RATE))
    picked = pick(speeches, batch)
    left = [each for each in speeches if each not in picked and each.runnable]
    assert len(picked) == min(batch, sum(each.runnable for each in speeches))
    for each in picked:
        for other in left:
            assert (-each.priority, each.lead_s) <= (-other.priority, other.lead_s)
