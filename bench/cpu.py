"""What a process and its children used, as the operating system counts it."""

import os
from dataclasses import dataclass
from pathlib import Path
from time import clock_gettime

_PROC = Path("/proc")
_CPU_OF_ALL_THREADS = 2
_STIME = 12
"""Of /proc/<pid>/stat, counted from the field after the name."""
_TICKS = os.sysconf("SC_CLK_TCK")
_IDLE = (3, 4)
"""Of the first line of /proc/stat: idle, and idle while something waits for a disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """At one moment, since the processes began."""

    cpu_s: float
    """User and system time together."""
    system_s: float
    """System time alone, which the system tells in hundredths of a second."""
    memory_bytes: int
    """Resident memory."""


def used(pid: int) -> Used:
    """Of the process and everything below it that is alive."""
    pids = tree(pid)
    return Used(
        cpu_s=sum(map(cpu_s, pids)),
        system_s=sum(int(_stat(pid)[_STIME]) for pid in pids) / _TICKS,
        memory_bytes=sum(map(memory_bytes, pids)),
    )


def tree(pid: int) -> list[int]:
    """The process and its descendants."""
    parents = {}
    for folder in _PROC.iterdir():
        if folder.name.isdecimal():
            stat = _stat(int(folder.name))
            if stat:
                parents[int(folder.name)] = int(stat[1])
    found = [pid]
    for member in found:
        found.extend(child for child, parent in parents.items() if parent == member)
    return found


def cpu_s(pid: int) -> float:
    """The process's CPU clock: the sum that /proc/<pid>/stat rounds to hundredths of a second, in nanoseconds.

    The clock's number is made as clock_getcpuclockid(3) makes it; ended threads are counted.
    """
    return clock_gettime((~pid << 3) | _CPU_OF_ALL_THREADS)


def memory_bytes(pid: int) -> int:
    """Resident memory of one process."""
    for line in (_PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def _stat(pid: int) -> list[str]:
    """The fields after the name, which stands in parentheses and may hold anything; none if the process is gone."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def waited_s(pid: int) -> float:
    """How long the threads of one process waited for a core while they had something to do, since they began; those
    that have ended are not counted. 0 where the system does not tell."""
    total = 0
    for task in (_PROC / str(pid) / "task").glob("*/schedstat"):
        try:
            total += int(task.read_text().split()[1])
        except OSError:
            continue  # It has ended.
    return total / 1e9


def idle_s(cores: frozenset[int]) -> float:
    """How long these cores had nothing to do since the machine began, together."""
    lines = dict(line.split(maxsplit=1) for line in (_PROC / "stat").read_text().splitlines() if line[:3] == "cpu")
    counts = [lines[f"cpu{core}"].split() for core in cores]
    return sum(int(count[place]) for count in counts for place in _IDLE) / _TICKS
