"""A calibration as a hardware file: engines, levels, overhead, the library's costs, sources."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import yaml

from perfmodel.errors import InputError
from perfmodel.machine import PARAMETERS
from perfmodel.machine.library import Library
from perfmodel.measure.conditions import Cache
from perfmodel.measure.roofs import Roof, best_of

_SOURCE = "calibration"
_HEAD = """\
# Measured by perfmodel calibrate; raw samples and conditions: {raw}
# peak, bandwidth: the best clean sample. achievable: the median. No datasheet was read:
# the operating system names none, so no ops_per_cycle and no clock is stated.
"""


def machine_name(model: str | None, threads: int) -> str:
    """Return a device name from a processor's: 'amd-epyc-1-thread'."""
    text = re.sub(r"\(r\)|\(tm\)|\bcpu\b|@.*|\bprocessor\b", " ", (model or "cpu").lower())
    bare = re.sub(r"[^a-z0-9.]+", "-", text).strip("-.") or "cpu"
    return f"{bare}-{threads}-thread{'s' if threads > 1 else ''}"


def memory_bytes() -> int:
    """Return the bytes of main memory; InputError where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        raise InputError("the operating system does not tell how much memory it has") from None


def machine_yaml(
    *,
    name: str,
    title: str,
    vendor: str,
    raw: str,
    caches: Sequence[Cache],
    memory: int,
    engines: Mapping[str, Mapping[str, Roof]],
    levels: Sequence[Mapping[str, Roof]],
    library: Library,
    scaling: Sequence[Mapping[str, Any]],
    quality: Mapping[str, Any],
) -> str:
    """Return the text of a hardware file that `perfmodel check` accepts.

    ``engines`` has 'matrix' and 'vector' by format and 'special' by format.function;
    ``levels`` the roofs of each kind of stream, caches first, main memory last.
    """
    compute, provenance = _compute(engines, library.threads)
    levels_found, more = _memory(caches, memory, levels, library, scaling)
    overhead = next((c.call for k, c in library.calls.items() if k == "add.fp32"), None)
    provenance |= more
    if overhead is not None:
        provenance["overhead.eager"] = {
            "method": "measured", "source": _SOURCE,
            "note": "a call of the array library on a few elements",
        }  # fmt: skip
    data: dict[str, Any] = {
        "schema": "perfmodel/hardware@1",
        "name": name,
        "title": title,
        "vendor": vendor,
        "kind": "cpu",
        "clocks": {},
        "compute": compute,
        "memory": levels_found,
        "overhead": {"eager": None if overhead is None else _time(overhead), "graph": None},
        "tdp": None,
        "notes": _notes(library, scaling, quality),
        "efficiency": _efficiency(engines["matrix"], levels[-1], library, raw),
        "library": library_data(library, [c.level for c in caches]),
        "sources": {
            _SOURCE: {
                "title": f"perfmodel calibrate, {library.backend}, {library.blas}",
                "retrieved": library.date,
            }
        },
        "provenance": provenance,
    }
    body = yaml.safe_dump(data, sort_keys=False, width=100, allow_unicode=True)
    return _HEAD.format(raw=raw) + str(body)


def _efficiency(
    matrix: Mapping[str, Roof], last: Mapping[str, Roof], library: Library, source: str
) -> dict[str, Any]:
    """Return the shares of the peaks that medians reach: the rules' are of datasheets."""
    found: dict[str, Any] = {}
    for name, roof in (("compute_share", matrix.get("fp32")), ("memory_share", best_of(last))):
        if roof is not None:
            found[name] = {
                "value": float(f"{_bounded(name, roof.typical / roof.best):.4g}"),
                "method": "measured",
                "n": roof.n, "residual": float(f"{roof.residual:.4g}"), "date": library.date,
                "source": source,
            }  # fmt: skip
    return found


def _bounded(name: str, value: float) -> float:
    known = PARAMETERS[name]
    return min(max(value, known.least), known.most)


def _compute(
    engines: Mapping[str, Mapping[str, Roof]], threads: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    compute: dict[str, Any] = {}
    provenance: dict[str, Any] = {}
    for kind in ("matrix", "vector"):
        rates = {d: _rate(r) for d, r in engines[kind].items()}
        if rates:
            compute[kind] = {"kind": kind, "count": threads, "rates": rates}
        for dtype, roof in engines[kind].items():
            provenance[f"compute.{kind}.rates.{dtype}"] = _measured(roof, "dense")
    special: dict[str, dict[str, Roof]] = {}
    for key, roof in engines["special"].items():
        dtype, _, function = key.partition(".")
        special.setdefault(dtype, {})[function] = roof
    if special:
        compute["special"] = {"kind": "special", "count": threads, "rates": {}}
    for dtype, functions in special.items():
        best = best_of(functions)
        assert best is not None
        # An operator mixes functions: what a mix reaches is their harmonic mean.
        mean = len(functions) / sum(1 / r.typical for r in functions.values())
        compute["special"]["rates"][dtype] = {
            "peak": _si(best.best, "FLOP/s"), "achievable": _si(min(mean, best.best), "FLOP/s"),
        }  # fmt: skip
        each = ", ".join(f"{f} {r.typical / 1e9:.3g}" for f, r in sorted(functions.items()))
        provenance[f"compute.special.rates.{dtype}"] = {
            "method": "measured", "source": _SOURCE, "sparsity": "dense",
            "note": f"peak: the fastest function; achievable: harmonic mean; medians, G/s: {each}",
        }  # fmt: skip
    for kind in compute:
        provenance[f"compute.{kind}.count"] = {
            "method": "derived", "note": "threads that the library was given",
        }  # fmt: skip
    return compute, provenance


def _rate(roof: Roof) -> dict[str, str]:
    return {"peak": _si(roof.best, "FLOP/s"), "achievable": _si(roof.typical, "FLOP/s")}


def _measured(roof: Roof, sparsity: str | None = None) -> dict[str, Any]:
    told = {
        "method": "measured",
        "source": _SOURCE,
        "note": f"{roof.by}; n {roof.n}; the median is {100 * roof.residual:.1f} % below the best",
    }
    return told | ({"sparsity": sparsity} if sparsity else {})


def _memory(
    caches: Sequence[Cache],
    memory: int,
    levels: Sequence[Mapping[str, Roof]],
    library: Library,
    scaling: Sequence[Mapping[str, Any]],
) -> tuple[dict[str, Any], dict[str, Any]]:
    found: dict[str, Any] = {}
    provenance: dict[str, Any] = {}
    threads, sizes = library.threads, [*(c.size for c in caches), memory]
    floor = (0.0, 0.0)
    for place in reversed(range(len(sizes))):
        last = place == len(caches)
        name = "dram" if last else f"l{caches[place].level}"
        own = not last and caches[place].shared_by < max(c.shared_by for c in caches)
        more = threads if own else _times(scaling, "memory" if last else "shared", threads)
        best = best_of(levels[place])
        if best is None and last:
            raise InputError(
                "no sample of a stream through main memory was undisturbed",
                mend="calibrate when the machine is quieter: perfmodel noise",
            )
        # What a nearer level holds comes at least as fast as what it does not.
        rates = (best.best * more, best.typical * more) if best else (0.0, 0.0)
        floor = max(rates[0], floor[0]), max(rates[1], floor[1])
        found[name] = {
            "scope": "unit" if own else "device",
            "instances": min(threads, caches[place].instances) if own else 1,
            "capacity": _gib(memory) if last else _capacity(caches[place].size),
            "bandwidth": _si(floor[0], "B/s"),
            "achievable": _si(min(floor), "B/s"),
        }
        each = ", ".join(f"{k} {r.typical / 1e9:.3g}" for k, r in levels[place].items())
        told = f"{best.by}; n {best.n}; " if best else "as the level below; "
        provenance[f"memory.{name}"] = {
            "method": "measured",
            "source": _SOURCE,
            "note": f"{told}medians of one thread, GB/s: {each or 'none'}; times {more:.3g}",
        }
    found = dict(reversed(found.items()))
    return found, dict(reversed(provenance.items()))


def _times(scaling: Sequence[Mapping[str, Any]], level: str, threads: int) -> float:
    """Return how many times the bandwidth of one thread the threads together have."""
    by_threads = {row["threads"]: row[f"{level}_bytes_per_s"] for row in scaling}
    if threads not in by_threads:
        return 1.0
    return max(1.0, float(by_threads[threads] / by_threads[1]))


def library_data(library: Library, cache_levels: Sequence[int]) -> dict[str, Any]:
    """Return the file's `library`."""
    names = [*(f"l{level}" for level in cache_levels), "dram"]
    return {
        "backend": library.backend,
        "blas": library.blas,
        "threads": library.threads,
        "date": library.date,
        "contended": library.contended,
        "page": _time(library.page),
        "run": _time(library.run),
        "python": _time(library.python),
        "levels": {
            name: {
                "read": _time(v.read),
                "write": _time(v.write),
                "capacity": None if v.capacity is None else _capacity(v.capacity),
            }
            for name, v in zip(names, library.levels, strict=True)
        },
        "calls": {key: _cost(asdict(c), ("line",)) for key, c in sorted(library.calls.items())},
        "products": {
            key: _cost(asdict(c), ("exposed", "switch")) for key, c in library.products.items()
        },
        "spread": {k: float(f"{v:.4g}") for k, v in sorted(library.spread.items())},
        "clocks": {k: _time(v) for k, v in sorted(library.clocks.items())},
    }


def _cost(fields: dict[str, Any], plain: Sequence[str]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in fields.items():
        if key == "n":
            result[key] = value
        elif key == "residual" or key in plain:
            result[key] = float(f"{value:.5g}")
        else:
            result[key] = _time(value)
    return {k: v for k, v in result.items() if not (k in ("line", "miss") and v in (0.0, "0 ns"))}


def _notes(
    library: Library, scaling: Sequence[Mapping[str, Any]], quality: Mapping[str, Any]
) -> str:
    floor, held, kernels = (quality[k] for k in ("noise_floor", "held_out", "kernels"))
    lines = [
        f"{quality['samples']} samples, {100 * quality['clean']:.0f} % of them clean"
        f"{'; contended' if library.contended else ''}.",
        f"Noise floor, visits against visits: mean {100 * floor['mean']:.1f} %, median"
        f" {100 * floor['median']:.1f} %." if floor["pairs"] else "No task was visited twice.",
        f"Calls that a fit did not see: MAPE {100 * held['mape']:.1f} %, median"
        f" {100 * held['median_ape']:.1f} %, n {held['rows']}.",
        f"Kernels: MAPE {100 * kernels['mape']:.1f} %, median {100 * kernels['median_ape']:.1f} %,"
        f" n {kernels['rows']}.",
    ]  # fmt: skip
    lines += [
        f"{row['threads']} threads: {row['flop_per_s'] / 1e9:.4g} GFLOP/s in fp32 products;"
        f" copies {row['own_bytes_per_s'] / 1e9:.4g} GB/s in their own caches,"
        f" {row['shared_bytes_per_s'] / 1e9:.4g} in the shared one,"
        f" {row['memory_bytes_per_s'] / 1e9:.4g} in memory."
        for row in scaling
    ]
    return "\n".join(lines)


def _time(seconds: float) -> str:
    return f"{seconds * 1e9:.5g} ns" if seconds < 1e-3 else f"{seconds * 1e3:.5g} ms"


def _si(value: float, unit: str) -> str:
    return f"{value / 1e9:.5g} G{unit}"


def _capacity(size: float) -> str:
    return f"{size / 1024:.6g} KiB" if size < 1 << 20 else f"{size / (1 << 20):.6g} MiB"


def _gib(size: float) -> str:
    return f"{size / (1 << 30):.5g} GiB"
