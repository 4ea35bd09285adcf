"""The listener's clock: never more ahead than allowed, still while paused or starved."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cosyd.daemon.pacer import Pacer

RATE, LEAD, FRAME = 1000, 200, 20


def test_lead_goes_at_once_then_one_frame_in_its_own_time() -> None:
    pacer, sent = Pacer(RATE, LEAD), 0
    while pacer.wait_s(0.0, sent, FRAME) <= 0:
        sent += FRAME
    assert sent == LEAD
    assert abs(pacer.wait_s(0.0, sent, FRAME) - FRAME / RATE) < 1e-9
    assert pacer.wait_s(FRAME / RATE, sent, FRAME) <= 1e-9


def test_stands_still_while_paused() -> None:
    pacer = Pacer(RATE, LEAD)
    pacer.wait_s(0.0, LEAD, FRAME)
    pacer.pause(0.05, LEAD)  # 50 of 200 samples heard
    assert abs(pacer.wait_s(100.0, LEAD, FRAME) + 0.03) < 1e-9


def test_late_audio_is_not_made_up_for_in_a_burst() -> None:
    pacer = Pacer(RATE, LEAD)
    pacer.wait_s(0.0, LEAD, FRAME)
    pacer.wait_s(10.0, LEAD, FRAME)  # ten seconds in which nothing came
    sent = LEAD
    while pacer.wait_s(10.0, sent, FRAME) <= 0:
        sent += FRAME
    assert sent == 2 * LEAD, "one lead more, not ten seconds"


@given(
    st.lists(
        st.tuples(st.floats(0, 3), st.sampled_from(["send", "pause"])), min_size=1, max_size=60
    )
)
def test_never_ahead_of_a_player_by_more_than_the_lead(moves: list[tuple[float, str]]) -> None:
    """A player that starts with the first frame and plays whatever it has, unless paused."""
    pacer, now, sent, heard, paused = Pacer(RATE, LEAD), 0.0, 0, 0.0, False
    for delay, move in moves:
        now += delay
        if not paused:
            heard = min(float(sent), heard + delay * RATE)
        paused = move == "pause"
        if paused:
            pacer.pause(now, sent)
            continue
        while pacer.wait_s(now, sent, FRAME) <= 0:
            sent += FRAME
        assert sent - heard <= LEAD + 1e-6
