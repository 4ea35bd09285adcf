"""The listener's clock of one utterance: how far a player that started with us must have come."""

from __future__ import annotations


class Pacer:
    """A clock in samples that starts with the first frame and never overtakes what was sent.

    It stands still while paused and while audio is late: what comes after a gap is played after
    it too, so it must not be sent in a burst that would be heard long after a stop.
    """

    def __init__(self, sample_rate: int, lead_samples: int) -> None:
        """`lead_samples`: how far audio may be ahead of the clock."""
        self._rate = sample_rate
        self._lead = lead_samples
        self._heard = 0.0
        self._at: float | None = None

    def wait_s(self, now: float, sent: int, frame: int) -> float:
        """Seconds until `frame` more samples may follow the `sent` ones; 0 or less: now."""
        self._advance(now, sent)
        return (sent + frame - self._lead - self._heard) / self._rate

    def pause(self, now: float, sent: int) -> None:
        """Stand still."""
        self._advance(now, sent)
        self._at = None

    def _advance(self, now: float, sent: int) -> None:
        if self._at is not None:
            self._heard = min(float(sent), self._heard + (now - self._at) * self._rate)
        if sent:
            self._at = now
