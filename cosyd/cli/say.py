"""`cosy say`: send the text, bring the sound where it belongs, fall silent when told to.

The request goes out before anything that can wait: the sound device opens, and the display
starts, while the daemon computes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from cosyd.cli.failure import DONE, Failure
from cosyd.cli.options import Values, wire_fields
from cosyd.cli.reach import reach
from cosyd.cli.source import Stream, Whole, open_source
from cosyd.cli.target import DEFAULT_RATE, Target, open_target
from cosyd.errors import CosydError

if TYPE_CHECKING:
    from cosyd.cli.feeder import Feeder
    from cosyd.cli.show import Display
    from cosyd.client.sync import Client, Utterance


def say(values: Values) -> int:
    """Do what `cosy say` with these options does. Returns the exit code.

    Raises:
        Failure, CosydError, OSError, BrokenPipeError, Signalled: see `cosyd.cli.failure.guard`.
    """
    if values["voice"] == "?":
        from cosyd.cli.voices import list_voices

        return list_voices()
    if values["device"] == "?":
        from cosyd.cli.speaker import print_devices

        return print_devices()
    source = open_source(values)
    with open_target(values) as target, reach(no_daemon=values["no_daemon"]) as client:
        _Speech(client, source, target, values).run()
    return DONE


class _Speech:
    """One utterance on its way from the source to the target."""

    def __init__(
        self, client: Client, source: Whole | Stream, target: Target, values: Values
    ) -> None:
        """Sends the request."""
        self._target = target
        self._values = values
        self._rate = values["sample_rate"] or DEFAULT_RATE
        self._source = source
        self._feeder: Feeder | None = None
        fields = {**wire_fields(values), "sample_rate": self._rate, "pace": target.pace}
        if isinstance(source, Whole):
            self._utterance = client.say(source.text, **fields)
        else:
            from cosyd.cli.feeder import Feeder

            self._utterance = client.say("", final=False, **fields)
            self._feeder = Feeder(self._utterance, source)

    def run(self) -> None:
        """Bring all of the sound to the target. Whatever ends it early silences it, too."""
        done = False
        display = None
        try:
            if self._feeder is not None:
                self._feeder.start()
            self._target.prepare(self._rate)
            display = self._open_display()
            self._listen(display)
            self._finish()
            done = True
        finally:
            if not done:
                self._silence()
            if display is not None:
                display.close(done)

    def _listen(self, display: Display | None) -> None:
        follow = _follower(self._utterance, self._target, display, self._text)
        for frame in self._utterance:
            self._target.write(frame)
            follow()
            if self._feeder is not None:
                self._feeder.make_room()

    def _finish(self) -> None:
        if self._feeder is not None and self._feeder.error is not None:
            raise self._feeder.error
        result = self._utterance.result
        if result.kind == "stopped":
            raise Failure("stopped before the end, by `cosy stop` or another `cosy say`")
        self._target.finish(result.samples)

    def _silence(self) -> None:
        """The sound first, then the computing. Hanging up, which comes next, stops that too."""
        self._target.abort()
        with suppress(CosydError):
            self._utterance.stop()

    def _open_display(self) -> Display | None:
        if not (self._values["interactive"] or self._values["progress"]):
            return None
        from cosyd.cli.show import open_display

        total = len(self._source.text) if isinstance(self._source, Whole) else None
        return open_display(interactive=self._values["interactive"], total=total)

    def _text(self) -> str:
        if isinstance(self._source, Whole):
            return self._source.text
        return self._feeder.text if self._feeder is not None else ""


def _follower(
    utterance: Utterance, target: Target, display: Display | None, text: Callable[[], str]
) -> Callable[[], None]:
    """What tells the display, after each frame, of the sentences that are heard by now."""
    if display is None:
        return lambda: None
    shown = 0

    def follow() -> None:
        nonlocal shown
        heard = target.heard()
        for mark in utterance.marks[shown:]:
            if mark.offset > heard:
                break
            shown += 1
            if mark.kind == "sentence":
                display.sentence(text(), mark.start, mark.end)

    return follow
