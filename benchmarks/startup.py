"""CPU time of `perfmodel --help` against importing numpy, yaml and typer.

Prints the ratio of the medians over interleaved runs; the target is at most 2.5.

    python benchmarks/startup.py [--runs 15]
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys

BASE = [sys.executable, "-c", "import numpy, yaml, typer"]
IMPORT = [sys.executable, "-c", "import perfmodel"]
TARGET = 2.5


def cpu_seconds(command: list[str]) -> float:
    """Return user and system time of one run of ``command``."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def main() -> int:
    """Time the commands in turn and print their medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    command = shutil.which("perfmodel", path=os.path.dirname(sys.executable)) or "perfmodel"
    commands = {
        "import numpy, yaml, typer": BASE,
        "import perfmodel": IMPORT,
        "perfmodel --help": [command, "--help"],
        "perfmodel analyze mnist-mlp -H l4": [command, "analyze", "mnist-mlp", "-H", "l4"],
    }
    samples: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, arguments in commands.items():
            samples[name].append(cpu_seconds(arguments))
    base = statistics.median(samples["import numpy, yaml, typer"])
    for name, times in samples.items():
        median = statistics.median(times)
        ratio = median / base
        print(f"{name:34} {1e3 * median:7.1f} ms CPU (median of {runs})   ratio {ratio:5.2f}")
    ratio = statistics.median(samples["perfmodel --help"]) / base
    print(f"perfmodel --help: ratio {ratio:.2f}, target at most {TARGET}")
    return 0 if ratio <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
