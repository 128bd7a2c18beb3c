"""Writes the catalogue pages in this folder from the package's registry.

python docs/generate.py
"""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path

from perfmodel.cli import main

FOLDER = Path(__file__).parent
PAGES = {
    "operators": "Operators, each with the inline form that `perfmodel analyze` takes.",
    "workloads": "Built-in networks.",
    "hardware": "Built-in devices; `perfmodel show hardware NAME` has the source of every number.\n"
    "Accuracy: the mean error of predictions where kernels of the device were measured.\n",
}


def page(what: str) -> str:
    """Return the catalogue page of operators, workloads or hardware."""
    out = io.StringIO()
    with redirect_stdout(out):
        if main(["list", what, "--format", "markdown"]) != 0:
            raise RuntimeError(f"perfmodel list {what} failed")
    command = f"perfmodel list {what} --format markdown"
    return f"# {what.capitalize()}\n\n{PAGES[what]}\nMade by `{command}`.\n\n{out.getvalue()}"


if __name__ == "__main__":
    for name in PAGES:
        (FOLDER / f"{name}.md").write_text(page(name), encoding="utf-8")
        print(f"wrote docs/{name}.md")
