"""Layouts: channels first or last are the same operations, bytes and values in another order."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from oracle import Array, bind

from perfmodel.core import LAYOUTS, Bound, Operator, Tensor, parse_precision
from perfmodel.core.formats import FORMATS
from perfmodel.kernels.naive import naive_kernel
from perfmodel.ops import registry
from perfmodel.readers.inline import complete_sizes

FP16 = parse_precision("fp16")
IN_LAYOUTS = [n for n, op in registry().items() if "layout" in op.sizes]
#: parts of the names of operators on images
FAMILIES = ("conv", "pool", "norm")


def _bound(name: str, sizes: Mapping[str, Any], **layout: str) -> tuple[Operator, Bound]:
    cls = registry()[name]
    op, inputs = cls.from_sizes(complete_sizes(cls, {**sizes, **layout}), FP16)
    return op, bind(op, inputs, FP16)


def _accesses(tensors: Bound, op: Operator) -> list[tuple[str, str, Any]]:
    works = [op.work(tensors), *(g.work for g in op.gradients(tensors))]
    return [(a.tensor, a.direction, a.bytes) for work in works for a in work.accesses]


@pytest.mark.parametrize("name", IN_LAYOUTS)
def test_both_layouts_cost_the_same(name: str) -> None:
    for sizes in registry()[name].small:
        (op, first), (turned, last) = (_bound(name, sizes, layout=layout) for layout in LAYOUTS)
        assert _accesses(first, op) == _accesses(last, turned)
        for one, other in zip(op.algorithms(first), turned.algorithms(last), strict=True):
            assert (one.name, one.work.ops) == (other.name, other.work.ops)
        for a, b in zip(op.gradients(first), turned.gradients(last), strict=True):
            assert a.work.ops == b.work.ops


def _as_input(tensor: Tensor, random: np.random.Generator) -> Array:
    size = int(np.prod(tensor.shape))
    values = random.permutation(size) if tensor.role == "index" else random.normal(size=size) ** 2
    return values.reshape(tensor.shape)


def _as_weight(tensor: Tensor, random: np.random.Generator) -> Array:
    if FORMATS[tensor.dtype].integer:
        return random.integers(0, 4, size=tensor.shape)
    return random.normal(size=tensor.shape) ** 2


@pytest.mark.parametrize("name", IN_LAYOUTS)
def test_both_layouts_give_the_same_values(name: str) -> None:
    random = np.random.default_rng(0)
    for sizes in registry()[name].small:
        (op, tensors), (turned, _) = (_bound(name, sizes, layout=layout) for layout in LAYOUTS)
        inputs = [_as_input(t, random) for t in tensors.inputs]
        weights = {t.name: _as_weight(t, random) for t in tensors.weights}
        made: list[Any] = []
        for each, given in ((op, inputs), (turned, [np.moveaxis(x, 1, -1) for x in inputs])):
            attributes = {f.name: getattr(each, f.name) for f in dataclasses.fields(each)}
            y: Any = naive_kernel(name)(*given, weights=weights, **attributes)
            made.append(y if isinstance(y, tuple) else (y,))
        for first, last in zip(*made, strict=True):
            expected = np.moveaxis(first, 1, -1) if first.ndim > 2 else first
            np.testing.assert_allclose(last, expected, rtol=1e-12)


def test_every_convolution_pool_and_channel_norm_has_both_layouts() -> None:
    rows = {"layer_norm", "rms_norm", "norm"}  # no channels of an image
    images = {n for n in registry() if any(f in n for f in FAMILIES)} - rows
    assert images - {"convert_layout"} == set(IN_LAYOUTS)
