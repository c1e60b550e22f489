"""Memory and cores as a container is allowed to see them, read from sample file systems."""

from __future__ import annotations

from pathlib import Path

import pytest

from myna import hardware

GIB = 1 << 30

MEMINFO = """\
MemTotal:       16777216 kB
MemFree:         1048576 kB
MemAvailable:    8388608 kB
HugePages_Total:       0
"""


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_memory_without_groups_is_the_kernels_own_figure(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/meminfo": MEMINFO})
    assert hardware.memory(root) == hardware.Memory(16 * GIB, 8 * GIB)


def test_memory_of_a_version_2_group(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/app.slice"
    root = write(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "0::/app.slice\n",
            f"{group}/memory.max": f"{4 * GIB}\n",
            f"{group}/memory.current": f"{3 * GIB}\n",
            f"{group}/memory.stat": f"anon 100\ninactive_file {2 * GIB}\n",
        },
    )
    assert hardware.memory(root) == hardware.Memory(4 * GIB, 3 * GIB)


def test_memory_takes_the_tightest_group_on_the_way_to_the_root(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/b/memory.max": "max\n",
            "sys/fs/cgroup/a/memory.max": f"{2 * GIB}\n",
            "sys/fs/cgroup/a/memory.current": f"{GIB}\n",
        },
    )
    assert hardware.memory(root) == hardware.Memory(2 * GIB, GIB)


def test_memory_of_a_version_1_group(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/memory/docker/abc"
    root = write(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n",
            f"{group}/memory.limit_in_bytes": f"{GIB}\n",
            f"{group}/memory.usage_in_bytes": f"{GIB // 2}\n",
            f"{group}/memory.stat": f"total_inactive_file {GIB // 4}\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )
    assert hardware.memory(root) == hardware.Memory(GIB, GIB - GIB // 4)


def test_memory_of_a_container_whose_path_is_not_mounted_here(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "0::/../other/container\n",
            "sys/fs/cgroup/memory.max": f"{GIB}\n",
            "sys/fs/cgroup/memory.current": "0\n",
        },
    )
    assert hardware.memory(root).total == GIB


def test_a_group_that_is_over_its_limit_has_nothing_left(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/memory.max": "1000\n",
            "sys/fs/cgroup/memory.current": "2000\n",
        },
    )
    assert hardware.memory(root).available == 0


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000\n", 4), ("150000 100000\n", 2), ("50000 100000\n", 1), ("9900000 100000\n", 4)],
)
def test_usable_cores_obey_a_version_2_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, expected: int
) -> None:
    monkeypatch.setattr(hardware, "_affinity", lambda: {0, 1, 2, 3})
    root = write(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": quota})
    assert hardware.usable_cores(root) == expected


def test_usable_cores_obey_a_version_1_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_affinity", lambda: {0, 1, 2, 3})
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "1:cpu:/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
    )
    assert hardware.usable_cores(root) == 3


def test_an_unlimited_version_1_quota_limits_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_affinity", lambda: {0, 1})
    files = {"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}
    root = write(tmp_path, {"proc/self/cgroup": "1:cpu:/\n"} | {f"sys/fs/cgroup/cpu/{k}": v for k, v in files.items()})
    assert hardware.usable_cores(root) == 2


def test_hardware_threads_of_one_core_count_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_affinity", lambda: {0, 1, 2, 3})
    siblings = {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}
    topology = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    root = write(tmp_path, {topology.format(number): text + "\n" for number, text in siblings.items()})
    assert hardware.usable_cores(root) == 2


def test_processor_name_is_the_makers(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/cpuinfo": "processor\t: 0\nmodel name\t: Example 9000 @ 3 GHz\n"})
    assert hardware.processor_name(root) == "Example 9000 @ 3 GHz"


def test_parse_cores() -> None:
    assert hardware.parse_cores("0-2,7\n") == {0, 1, 2, 7}
    assert hardware.parse_cores("") == set()


def test_this_machine_has_memory_and_cores() -> None:
    found = hardware.memory()
    assert 0 < found.available <= found.total
    assert hardware.available_memory() > 0
    assert hardware.usable_cores() >= 1
