"""What this machine offers: processor, instruction sets, cores, memory (control groups too), bandwidth.

A container sees its host's memory and processors in ``/proc``; what it may use stands in its control group. So
every figure here is the smallest of what the machine has and what each group on the way to the root allows.
The parsers are pure; the readers take the root of the file system, so that tests can bring their own.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "Memory",
    "available_memory",
    "instruction_sets",
    "memory",
    "processor_name",
    "read_bandwidth",
    "usable_cores",
]

ROOT = Path("/")


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes: what there is, and what can be taken without swapping or being killed by a control group."""

    total: int
    available: int


def parse_meminfo(text: str) -> dict[str, int]:
    """Fields of ``/proc/meminfo`` in bytes; lines without a unit (counts) are left out."""
    fields = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        words = value.split()
        if len(words) == 2 and words[1] == "kB" and words[0].isdigit():
            fields[name] = int(words[0]) * 1024
    return fields


def parse_group_paths(text: str) -> dict[str, str]:
    """Path of this process in each control group hierarchy, from ``/proc/self/cgroup``.

    Version 1 has one line a controller (``4:memory:/path``), version 2 one for all (``0::/path``, the key "").
    """
    paths = {}
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, separator, path = rest.partition(":")
        if separator:
            for controller in controllers.split(","):
                paths[controller] = path
    return paths


def parse_limit(text: str) -> int | None:
    """A limit in bytes; None when there is none ("max", or version 1's number beyond any memory)."""
    text = text.strip()
    if not text.isdigit():
        return None
    value = int(text)
    return value if value < 1 << 60 else None


def parse_quota(text: str) -> float | None:
    """Processors from version 2's ``cpu.max``, "quota period" in microseconds; None without a limit."""
    words = text.split()
    if len(words) != 2 or not all(word.isdigit() for word in words) or int(words[1]) == 0:
        return None
    return int(words[0]) / int(words[1])


def parse_statistics(text: str) -> dict[str, int]:
    """Fields of a group's ``memory.stat``."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def parse_cores(text: str) -> set[int]:
    """Processor numbers of a list such as ``0-3,8``."""
    numbers: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first.isdigit():
            numbers.update(range(int(first), int(last or first) + 1))
    return numbers


def memory(root: Path = ROOT) -> Memory:
    """Total and available memory; a control group's file cache counts as available, as the kernel gives it back."""
    fields = parse_meminfo(_read(root / "proc/meminfo"))
    if "MemTotal" not in fields:
        import psutil  # only where there is no /proc

        whole = psutil.virtual_memory()
        return Memory(whole.total, whole.available)
    total = fields["MemTotal"]
    available = fields.get("MemAvailable", fields.get("MemFree", total))
    for group in _groups(root, "memory"):
        limit = parse_limit(_read(group / "memory.max") or _read(group / "memory.limit_in_bytes"))
        if limit is None:
            continue
        used = parse_limit(_read(group / "memory.current") or _read(group / "memory.usage_in_bytes")) or 0
        statistics = parse_statistics(_read(group / "memory.stat"))
        cache = statistics.get("total_inactive_file", statistics.get("inactive_file", 0))
        total = min(total, limit)
        available = min(available, max(0, limit - max(0, used - cache)))
    return Memory(total, available)


def available_memory() -> int:
    """Bytes that can be taken now."""
    return memory().available


def resident_memory(process: int) -> int | None:
    """Bytes of memory that a process holds; None where that cannot be told, or there is no such process."""
    fields = parse_meminfo(_read(ROOT / f"proc/{process}/status"))
    if "VmRSS" in fields:
        return fields["VmRSS"]
    try:
        import psutil  # only where there is no /proc

        return int(psutil.Process(process).memory_info().rss)
    except Exception:  # its errors cannot be named where it is not installed
        return None


def usable_cores(root: Path = ROOT) -> int:
    """Physical cores that this process may use, at least 1.

    Two hardware threads of a core share its execution units and its path to memory, which is what a model's
    kernels saturate, so they count once.
    """
    allowed = _affinity()
    cores = {_siblings(root, number) for number in allowed} if allowed else set()
    count = len(cores) or os.cpu_count() or 1
    for group in _groups(root, "cpu"):
        quota = parse_quota(_read(group / "cpu.max"))
        if quota is None:
            quota = parse_quota(f"{_read(group / 'cpu.cfs_quota_us')} {_read(group / 'cpu.cfs_period_us')}")
        if quota is not None:
            count = min(count, math.ceil(quota))
    return max(1, count)


def processor_name(root: Path = ROOT) -> str:
    """The processor as its maker calls it."""
    for line in _read(root / "proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model") and value.strip():
            return value.strip()
    return platform.processor() or platform.machine() or "unknown processor"


def instruction_sets() -> list[str]:
    """Kernel variants that this processor can run, best first."""
    from myna import _native  # loads the compiled kernels, which most of this module does without

    return _native.instruction_sets()


def read_bandwidth(threads: int, megabytes: int = 128, repeats: int = 5) -> float:
    """Median bytes a second that ``threads`` threads read together from memory; takes well under a second."""
    from myna import _native

    return _native.read_bandwidth(threads, megabytes, repeats)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _affinity() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set()


def _siblings(root: Path, number: int) -> frozenset[int]:
    """Hardware threads of the core that processor ``number`` belongs to; itself alone where that is not told."""
    text = _read(root / f"sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list")
    return frozenset(parse_cores(text) or {number})


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Directories of this process's control groups for a controller, from the innermost to the root.

    A container's own name space shows its group as the root, so a path from outside may not exist here; the walk
    up then still meets the directories that do.
    """
    paths = parse_group_paths(_read(root / "proc/self/cgroup"))
    mounts = root / "sys/fs/cgroup"
    for key, mount in ((controller, mounts / controller), ("", mounts), ("", mounts / "unified")):
        if key not in paths:
            continue
        parts = [part for part in paths[key].split("/") if part not in ("", ".", "..")]
        for depth in range(len(parts), -1, -1):
            group = mount.joinpath(*parts[:depth])
            if group.is_dir():
                yield group
