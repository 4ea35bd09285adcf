"""Numbers for people."""

from __future__ import annotations

import pytest

from cosyd.cli.human import duration, plural, size, table


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (7205, "2 h"),
        (90_000, "1 d 1 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_sizes_and_counts() -> None:
    assert [size(n) for n in (0, 999, 31_400_000, 1_234_000_000)] == [
        "0 B",
        "999 B",
        "31 MB",
        "1.2 GB",
    ]
    assert [plural(1, "model"), plural(2, "model")] == ["1 model", "2 models"]


def test_tables_line_up() -> None:
    assert table([("a", "bb", "c"), ("aaa", "b", "")]) == "a    bb  c\naaa  b"
    assert table([]) == ""
