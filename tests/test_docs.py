"""The pages in docs/ are what the registry says now."""

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize("what", ["operators", "workloads", "hardware"])
def test_catalogue_pages_are_made_from_the_registry(what: str) -> None:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    written = (DOCS / f"{what}.md").read_text(encoding="utf-8")
    assert written == generate.page(what), "run: python docs/generate.py"
