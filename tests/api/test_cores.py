"""CPU cores by control group, on files as the kernel writes them."""

import math
import os

import pytest

from api import cores


def made(folder, groups, **files):
    """The list of groups, and the folder in which their file systems are mounted."""
    listed = folder / "groups"
    listed.write_text(groups)
    for name, text in files.items():
        file = folder / "mount" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return listed, folder / "mount"


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/\n", {}, math.inf),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "200000 100000\n"}, 2),
        ("0::/a/b\n", {"a/b/cpu.max": "50000 100000\n", "a/cpu.max": "200000 100000\n"}, 0.5),
        ("0::/of/the/host\n", {"cpu.max": "400000 100000\n"}, 4),
        ("0::/\n", {"cpu.max": "damaged\n"}, math.inf),
        ("0::/\n", {"cpu.max": ""}, math.inf),
        ("0::/\n", {"cpu.max": "100000 0\n"}, math.inf),
        (
            "4:memory:/x\n3:cpu,cpuacct:/x\n",
            {"cpu,cpuacct/x/cpu.cfs_quota_us": "300000\n"}
            | {"cpu,cpuacct/x/cpu.cfs_period_us": "100000\n"},
            3,
        ),
        (
            "3:cpuacct,cpu:/docker/1f\n",
            {"cpu/cpu.cfs_quota_us": "25000\n", "cpu/cpu.cfs_period_us": "50000\n"},
            0.5,
        ),
        (
            "3:cpu:/\n0::/\n",
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            math.inf,
        ),
        ("3:cpuset:/\n", {"cpu/cpu.cfs_quota_us": "1\n", "cpu/cpu.cfs_period_us": "1\n"}, math.inf),
        ("", {}, math.inf),
        ("no line of the kernel's\n", {}, math.inf),
    ],
)
def test_the_smallest_quota_of_the_groups_counts(tmp_path, groups, files, expected):
    assert cores.quota(*made(tmp_path, groups, **files)) == expected


def test_without_a_list_of_groups_there_is_no_quota(tmp_path):
    assert cores.quota(tmp_path / "none", tmp_path) == math.inf


def test_affinity_and_quota_limit_the_cores(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for quota, expected in [("max", 8), ("250000", 2.5), ("1600000", 8), ("20000", 1)]:
        assert cores.usable(*made(tmp_path, "0::/\n", **{"cpu.max": f"{quota} 100000"})) == expected
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores.usable(*made(tmp_path, "0::/\n", **{"cpu.max": "max 100000"})) == 1
