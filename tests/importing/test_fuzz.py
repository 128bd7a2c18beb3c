"""Mutated files end in a result or in one message; `benchmarks/fuzz_onnx.py` runs many more."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest

from perfmodel.errors import InputError

pytest.importorskip("onnx")
mutating = pytest.importorskip("mutating")


@pytest.mark.parametrize("seed", range(8))
def test_a_mutated_file_is_an_error_or_a_result(seed: int, tmp_path: Path) -> None:
    for i in range(14):
        rng = random.Random(f"test.{seed}.{i}")
        raw = mutating.mutated(mutating.sample(rng), rng)
        file = tmp_path / f"{i}.onnx"
        file.write_bytes(raw)
        with contextlib.suppress(InputError):
            mutating.use(file, rng)


def test_the_models_that_are_mutated_have_results(tmp_path: Path) -> None:
    rng = random.Random(0)
    for i, raw in enumerate(mutating.control_models()):
        file = tmp_path / f"{i}.onnx"
        file.write_bytes(raw)
        mutating.use(file, rng)


def test_texts_that_are_no_text_are_shown(tmp_path: Path) -> None:
    raw = mutating.control_models()[1]
    rng = random.Random(0)
    file = tmp_path / "model.onnx"
    file.write_bytes(raw.replace(b"\x12\x01g", b"\x12\x01\xb3"))
    mutating.use(file, rng)
