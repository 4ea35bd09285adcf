"""Memory of processes and of the machine, where the system shows it."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def rss_bytes(pid: int) -> int | None:
    """Resident bytes of process `pid`; None where it cannot be seen."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except OSError:
        return _own_peak_bytes() if pid == os.getpid() else None
    return int(pages) * resource.getpagesize()


def _own_peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # bytes on macOS, KiB elsewhere


@cache
def machine_bytes() -> int:
    """Memory that this process may use at most: the machine's, or what its cgroups leave of it."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine, *cgroup_limits(Path("/proc/self/cgroup"), _CGROUPS)])


def cgroup_limits(membership: Path, root: Path) -> Iterator[int]:
    """The limits of every cgroup that a process is in, in bytes.

    `membership` is its /proc/PID/cgroup. A container often sees its own cgroup as the root of
    the tree while the path still names it from outside: that is why the root is asked as well.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return  # no cgroups here
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2
            yield from _limits(root, path, "memory.max")
        elif "memory" in controllers.split(","):
            yield from _limits(root / "memory", path, "memory.limit_in_bytes")


def _limits(root: Path, path: str, name: str) -> Iterator[int]:
    here = root / path.lstrip("/")
    for folder in (here, *here.parents):
        if folder.is_relative_to(root):
            try:
                limit = (folder / name).read_text().strip()
            except OSError:
                continue
            if limit.isdigit():  # not "max"
                yield int(limit)
