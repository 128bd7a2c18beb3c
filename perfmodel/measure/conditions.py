"""What the machine is and how disturbed it is, as the operating system tells.

Linux tells all of it; elsewhere what is not known is None, never guessed.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

#: flags that decide which code path a numeric library takes
_ISA = (
    "sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16",
    "amx_tile", "amx_bf16", "amx_int8", "asimd", "asimdhp", "sve", "sve2", "bf16", "i8mm",
)  # fmt: skip
_IEC = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True)
class Cache:
    """A data cache: bytes of one instance, how many logical CPUs share it, how many there are."""

    level: int
    size: int
    shared_by: int
    instances: int


@dataclass(frozen=True)
class Processor:
    """The processor as seen from inside; ``cores`` are physical, ``threads`` logical CPUs."""

    model: str | None
    cores: int | None
    threads: int | None
    caches: tuple[Cache, ...]
    isa: tuple[str, ...]
    hypervisor: bool | None


@dataclass(frozen=True)
class Disturbance:
    """Running counts, or their increase: what others took from us.

    ``steal`` in clock ticks (the hypervisor ran somebody else), ``pressure`` in
    microseconds in which some task waited for a CPU, ``switches`` our own
    involuntary context switches.
    """

    steal: int | None
    pressure: int | None
    switches: int | None

    def since(self, earlier: Disturbance) -> Disturbance:
        """Return the increase from ``earlier`` to this; None where either is not known."""
        pairs = zip(asdict(self).values(), asdict(earlier).values(), strict=True)
        return Disturbance(*(None if a is None or b is None else a - b for a, b in pairs))


def read_processor(root: Path = Path("/")) -> Processor:
    """Return the processor described by /proc and /sys under ``root``."""
    info = _text(root / "proc/cpuinfo")
    flags = set((_field(info, "flags") or _field(info, "Features") or "").split())
    cpus = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*"))
    cores = {
        (_text(c / "topology/physical_package_id"), _text(c / "topology/core_id"))
        for c in cpus
        if (c / "topology/core_id").exists()
    }
    return Processor(
        _field(info, "model name") or platform.processor() or None,
        len(cores) or None,
        len(cpus) or os.cpu_count(),
        _caches(cpus),
        tuple(name for name in _ISA if name in flags),
        ("hypervisor" in flags) if flags else None,
    )


def _caches(cpus: Iterable[Path]) -> tuple[Cache, ...]:
    found: dict[tuple[int, int], set[str]] = {}
    for index in (i for cpu in cpus for i in sorted((cpu / "cache").glob("index*"))):
        size, shared = _text(index / "size"), _text(index / "shared_cpu_list")
        if _text(index / "type") in ("Data", "Unified") and size and shared:
            key = int(_text(index / "level") or 0), _bytes(size)
            found.setdefault(key, set()).add(shared)
    return tuple(
        Cache(level, size, max(map(_count, groups)), len(groups))
        for (level, size), groups in sorted(found.items())
    )


def _bytes(text: str) -> int:
    return int(text[:-1]) * _IEC[text[-1]] if text[-1] in _IEC else int(text)


def _count(cpu_list: str) -> int:
    """Return how many CPUs a list such as ``0-3,8`` names."""
    ends = (part.split("-") for part in cpu_list.split(","))
    return sum(int(e[-1]) - int(e[0]) + 1 for e in ends)


def read_disturbance(root: Path = Path("/")) -> Disturbance:
    """Return the counts up to now."""
    return Disturbance(_steal(root), _pressure(root), _switches())


def _steal(root: Path) -> int | None:
    fields = (_text(root / "proc/stat") or "").partition("\n")[0].split()
    return int(fields[8]) if len(fields) > 8 and fields[0] == "cpu" else None


def _pressure(root: Path) -> int | None:
    line = (_text(root / "proc/pressure/cpu") or "").partition("\n")[0]
    total = line.partition("total=")[2]
    return int(total) if line.startswith("some") and total.isdigit() else None


def _switches() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def conditions(root: Path = Path("/")) -> dict[str, Any]:
    """Return the machine, its libraries and its load, ready for JSON."""
    import numpy

    processor = read_processor(root)
    return {
        **asdict(processor),
        "caches": [asdict(cache) for cache in processor.caches],
        "isa": list(processor.isa),
        "affinity": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "blas": blas(),
    }


def blas() -> list[dict[str, Any]]:
    """Return each thread pool that numeric libraries opened: name, version, kernels, threads."""
    from threadpoolctl import threadpool_info

    keys = {
        "internal_api": "name", "version": "version",
        "architecture": "architecture", "num_threads": "threads",
    }  # fmt: skip
    return [{ours: pool.get(key) for key, ours in keys.items()} for pool in threadpool_info()]


def _field(info: str | None, key: str) -> str | None:
    for line in (info or "").splitlines():
        name, colon, value = line.partition(":")
        if colon and name.strip() == key:
            return value.strip()
    return None


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
