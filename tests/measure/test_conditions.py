"""What the operating system tells, read from a tree made for the test."""

from __future__ import annotations

import json
from pathlib import Path

from perfmodel.measure.conditions import (
    Cache,
    Disturbance,
    conditions,
    read_disturbance,
    read_processor,
)


def _machine(root: Path, cpus: int = 4, smt: int = 2) -> Path:
    def put(place: str, text: str) -> None:
        file = root / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")

    put("proc/cpuinfo", "model name\t: Some CPU @ 2 GHz\nflags\t\t: fpu avx2 fma hypervisor sse")
    put("proc/stat", "cpu  1 2 3 4 5 6 7 88 0 0\ncpu0 0 0 0 0 0 0 0 44 0 0")
    put("proc/pressure/cpu", "some avg10=0.00 avg60=0.00 avg300=0.00 total=1234\nfull total=9")
    for cpu in range(cpus):
        base, core = f"sys/devices/system/cpu/cpu{cpu}", cpu // smt
        put(f"{base}/topology/core_id", str(core))
        put(f"{base}/topology/physical_package_id", "0")
        twins = f"{core * smt}-{core * smt + smt - 1}" if smt > 1 else str(cpu)
        for index, (level, kind, size, shared) in enumerate(
            [
                (1, "Data", "32K", twins),
                (1, "Instruction", "64K", twins),
                (2, "Unified", "1M", twins),
                (3, "Unified", "33M", f"0-{cpus - 1}"),
            ]
        ):
            place = f"{base}/cache/index{index}"
            for key, value in zip(
                ("level", "type", "size", "shared_cpu_list"),
                (level, kind, size, shared),
                strict=True,
            ):
                put(f"{place}/{key}", str(value))
    return root


def test_a_cache_is_one_instance_and_not_the_sum(tmp_path: Path) -> None:
    found = read_processor(_machine(tmp_path))
    assert found.caches == (
        Cache(1, 32 << 10, 2, 2),
        Cache(2, 1 << 20, 2, 2),
        Cache(3, 33 << 20, 4, 1),
    )
    assert (found.model, found.cores, found.threads) == ("Some CPU @ 2 GHz", 2, 4)
    assert found.isa == ("avx2", "fma")
    assert found.hypervisor is True


def test_counts_are_read_and_subtracted(tmp_path: Path) -> None:
    found = read_disturbance(_machine(tmp_path))
    assert (found.steal, found.pressure) == (88, 1234)
    assert found.since(Disturbance(80, None, found.switches)) == Disturbance(8, None, 0)


def test_what_a_system_does_not_tell_is_none(tmp_path: Path) -> None:
    found = read_processor(tmp_path)
    assert (found.cores, found.caches, found.isa, found.hypervisor) == (None, (), (), None)
    assert (read_disturbance(tmp_path).steal, read_disturbance(tmp_path).pressure) == (None, None)
    assert json.loads(json.dumps(conditions(tmp_path)))["cores"] is None


def test_this_machine_has_a_blas_and_says_its_threads() -> None:
    pools = conditions()["blas"]
    assert pools
    assert all(pool["threads"] >= 1 for pool in pools)
