"""Which utterances get the next step: higher priority first, then who runs dry soonest."""

from __future__ import annotations

from collections.abc import Iterable

from cosyd.worker.speech import Speech


def pick(speeches: Iterable[Speech], batch: int) -> list[Speech]:
    """Up to `batch` runnable utterances.

    An utterance without any audio yet has the smallest lead, so first audio comes before more of
    what already plays; equals go by age. Speeches must come in the order of their arrival.
    """
    runnable = [speech for speech in speeches if speech.runnable]
    runnable.sort(key=lambda speech: (-speech.priority, speech.lead_s))
    return runnable[:batch]
