"""Channels: utterances that are spoken one after another, in order of priority, daemon-wide."""

from __future__ import annotations

from collections.abc import Callable

from cosyd.daemon.utterance import Utterance


class Channels:
    """Who speaks on each channel and who waits for it."""

    def __init__(self, go: Callable[[Utterance], None]) -> None:
        """`go` is told of each utterance whose turn on its channel has come."""
        self._go = go
        self._members: dict[str, list[Utterance]] = {}  # the first one speaks

    def enter(self, utterance: Utterance) -> None:
        """Take a place; without a channel the turn comes at once."""
        channel = utterance.request["channel"]
        if channel is None:
            self._go(utterance)
            return
        members = self._members.setdefault(channel, [])
        members.append(utterance)
        if len(members) == 1:
            self._go(utterance)

    def leave(self, utterance: Utterance) -> None:
        """It has ended: the next one's turn comes."""
        members = self._members.get(utterance.request["channel"], [])
        if utterance not in members:
            return
        spoke = members[0] is utterance
        members.remove(utterance)
        if not members:
            del self._members[utterance.request["channel"]]
        elif spoke:
            following = max(members, key=lambda member: member.request["priority"])
            members.remove(following)
            members.insert(0, following)
            self._go(following)

    def members(self, channel: str | None) -> list[Utterance]:
        """The utterances of a channel, those that wait before the one that speaks.

        In this order they can all be stopped without any of them beginning meanwhile.
        """
        return self._members.get(channel, [])[::-1] if channel is not None else []
