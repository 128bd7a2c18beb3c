"""Mutated ONNX files through `analyze`: each must end in a result or one error message.

The files come from the networks inside the onnx package, its node tests, and models
with control flow. Prints every file that ends in another exception, takes over 10 s of CPU time, or
raises the peak of memory by over 1 GB, and keeps it.

    python benchmarks/fuzz_onnx.py [--files 2000] [--seed 0] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "importing"))

import mutating

from perfmodel.errors import InputError

SECONDS, GROWTH_MB = 10, 1024


class HangError(BaseException):
    """A file took too long."""


def _stop(*_: object) -> None:
    raise HangError


def main() -> int:
    """Analyse mutated files; return 1 where one ends badly."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=None, help="where bad files are kept")
    asked = parser.parse_args()
    ends: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    slowest = 0.0
    signal.signal(signal.SIGPROF, _stop)
    with tempfile.TemporaryDirectory() as folder:
        for i in range(asked.files):
            rng = random.Random(f"{asked.seed}.{i}")
            raw = mutating.mutated(mutating.sample(rng), rng)
            file = Path(folder) / f"{i}.onnx"
            file.write_bytes(raw)
            before, began = _peak_mb(), time.process_time()
            end, place = _end(file, rng)
            taken = time.process_time() - began
            slowest = max(slowest, taken)
            if _peak_mb() - before > GROWTH_MB:
                end, place = "memory", f"{_peak_mb() - before:.0f} MB"
            ends[end] += 1
            if end not in ("result", "InputError"):
                bad[f"{end} {place}"] += 1
                print(f"{i}: {end} {place}", flush=True)
                if asked.keep is not None:
                    asked.keep.mkdir(parents=True, exist_ok=True)
                    (asked.keep / f"{asked.seed}-{i}.onnx").write_bytes(raw)
            file.unlink()
    print(f"{asked.files:,} files: {dict(ends)}, slowest {slowest:.1f} s, peak {_peak_mb():.0f} MB")
    return 1 if bad else 0


def _end(file: Path, rng: random.Random) -> tuple[str, str]:
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        mutating.use(file, rng)
    except InputError:
        return "InputError", ""
    except HangError:
        lines = [line.strip() for line in traceback.format_exc().splitlines() if "File" in line]
        return "hang", " < ".join(reversed(lines[-6:-1]))
    except BaseException as error:
        places = [line.strip() for line in traceback.format_exc().splitlines() if "File" in line]
        return type(error).__name__, f"{error} at {places[-1]}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return "result", ""


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
