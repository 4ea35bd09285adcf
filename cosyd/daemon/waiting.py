"""Who waits for a model: bounded, by priority, and within one priority each connection in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from cosyd.daemon.utterance import Owner, Utterance
from cosyd.errors import Busy


class Waiting:
    """A queue of utterances that is fair to connections.

    Within one priority the connections take turns, so that one which has queued many utterances
    delays another by one of them at most; each connection's own go by age.
    """

    def __init__(self, bound: Callable[[], int]) -> None:
        """`bound`: how many may wait; asked anew each time, as it may be set anew."""
        self._bound = bound
        self._queues: dict[int, dict[Owner, deque[Utterance]]] = {}  # owners: whose turn is next

    def __len__(self) -> int:
        return sum(len(queue) for owners in self._queues.values() for queue in owners.values())

    @property
    def priority(self) -> int | None:
        """The highest that waits; None: nobody does."""
        return max(self._queues, default=None)

    def add(self, utterance: Utterance) -> None:
        """Take the last place of its connection and priority.

        Raises:
            Busy: as many wait as may.
        """
        if len(self) >= self._bound():
            raise Busy(f"{len(self)} utterances wait for this voice: try again later")
        owners = self._queues.setdefault(utterance.request["priority"], {})
        owners.setdefault(utterance.owner, deque()).append(utterance)

    def remove(self, utterance: Utterance) -> bool:
        """Whether it waited; it does no more."""
        queue = self._queues.get(utterance.request["priority"], {}).get(utterance.owner)
        if queue is None or utterance not in queue:
            return False
        queue.remove(utterance)
        self._tidy(utterance)
        return True

    def take(self) -> Utterance:
        """The next one. Raises ValueError if nobody waits."""
        owners = self._queues[max(self._queues)]
        owner = next(iter(owners))
        utterance = owners[owner].popleft()
        owners[owner] = owners.pop(owner)  # the others come first now
        self._tidy(utterance)
        return utterance

    def clear(self) -> list[Utterance]:
        """All that waited, in their order."""
        return [self.take() for _ in range(len(self))]

    def _tidy(self, gone: Utterance) -> None:
        """Keep no empty queue: no connection that has ended is remembered here."""
        priority = gone.request["priority"]
        owners = self._queues[priority]
        if not owners[gone.owner]:
            del owners[gone.owner]
        if not owners:
            del self._queues[priority]
