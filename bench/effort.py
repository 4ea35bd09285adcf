"""How much a run measures."""

from __future__ import annotations

from typing import NamedTuple


class Effort(NamedTuple):
    """Quick runs show the shape; only full ones are worth writing down."""

    quick: bool = False

    def times(self, full: int, quick: int) -> int:
        """How often to repeat something."""
        return quick if self.quick else full
