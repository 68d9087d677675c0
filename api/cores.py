"""How many CPU cores this process may use.

Its affinity says on which it may run; in a container, a quota of the control group (cgroup) says
for how much of the time. Threads beyond the quota are halted together until the next period.
https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

GROUPS = Path("/proc/self/cgroup")
MOUNT = Path("/sys/fs/cgroup")
V1_MOUNTS = ("cpu", "cpu,cpuacct", "cpuacct,cpu")


def usable(groups: Path = GROUPS, mount: Path = MOUNT) -> float:
    """Cores by affinity and quota, at least one."""
    if hasattr(os, "sched_getaffinity"):
        cores: float = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1.0, min(cores, quota(groups, mount)))


def quota(groups: Path = GROUPS, mount: Path = MOUNT) -> float:
    """Cores that the control groups of this process grant; infinite without a quota.

    Parameters
    ----------
    groups : Path   the groups of the process, as the kernel lists them
    mount : Path    where the file systems of the groups are mounted
    """
    try:
        lines = groups.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux, or no /proc
        return float("inf")
    found = [float("inf")]
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            found += [v2_quota(folder / "cpu.max") for folder in with_parents(mount, path)]
        elif "cpu" in controllers.split(","):
            for name in V1_MOUNTS:
                found += [v1_quota(folder) for folder in with_parents(mount / name, path)]
    return min(found)


def with_parents(root: Path, path: str) -> Iterator[Path]:
    """The folder of a group and of those it is in, since each may have a quota.

    A container often sees its own group as the root, with the path that the host knows it by.
    """
    inner = PurePosixPath(path.lstrip("/"))
    for folder in (inner, *inner.parents):
        yield root / folder


def v2_quota(file: Path) -> float:
    """Cores by a `cpu.max` of `QUOTA PERIOD` in microseconds, where the quota may be `max`."""
    return ratio(*[*read(file).split(), "", ""][:2])


def v1_quota(folder: Path) -> float:
    """Cores by `cpu.cfs_quota_us` and `cpu.cfs_period_us`; a quota of -1 is none."""
    return ratio(read(folder / "cpu.cfs_quota_us"), read(folder / "cpu.cfs_period_us"))


def ratio(granted: str, period: str) -> float:
    try:
        cores = int(granted) / int(period)
    except (ValueError, ZeroDivisionError):  # `max`, or no such file
        return float("inf")
    return cores if cores > 0 else float("inf")


def read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
