"""What memory there is, from files as the system writes them."""

from __future__ import annotations

import os
from pathlib import Path

from cosyd.daemon.memory import cgroup_limits, machine_bytes, rss_bytes


def test_own_and_nobodys_memory() -> None:
    own = rss_bytes(os.getpid())
    assert own is not None
    assert own > 1 << 20
    assert rss_bytes(2**22 + 1) is None, "no process has such an id"


def test_the_machine_has_more_than_we_use() -> None:
    assert machine_bytes() > (rss_bytes(os.getpid()) or 0)


def _membership(folder: Path, *lines: str) -> Path:
    path = folder / "cgroup"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_limits_of_all_cgroups_above(tmp_path: Path) -> None:
    root = tmp_path / "fs"
    inner = root / "user.slice" / "cosyd.service"
    inner.mkdir(parents=True)
    (inner / "memory.max").write_text("max\n")
    (inner.parent / "memory.max").write_text("4000\n")
    (root / "memory.max").write_text("9000\n")
    membership = _membership(tmp_path, "0::/user.slice/cosyd.service")
    assert sorted(cgroup_limits(membership, root)) == [4000, 9000]


def test_the_first_version_and_a_path_from_outside(tmp_path: Path) -> None:
    root = tmp_path / "fs"
    (root / "memory").mkdir(parents=True)
    (root / "memory" / "memory.limit_in_bytes").write_text("5000\n")
    membership = _membership(tmp_path, "5:cpu,memory:/docker/abc", "4:pids:/docker/abc")
    assert list(cgroup_limits(membership, root)) == [5000]


def test_no_cgroups(tmp_path: Path) -> None:
    assert list(cgroup_limits(tmp_path / "none", tmp_path)) == []
