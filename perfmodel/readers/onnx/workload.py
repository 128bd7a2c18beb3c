"""An ONNX file as a Workload: sizes bound at the end, or swept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from perfmodel.core import Dim, Precision, Tensor, parse_precision
from perfmodel.core.dims import product
from perfmodel.core.symbols import Symbol, is_symbolic
from perfmodel.errors import InputError, one_line, shorten
from perfmodel.graph import Graph, Workload
from perfmodel.readers.onnx.formats import FORMAT_OF
from perfmodel.readers.onnx.importer import MALFORMED, Importer
from perfmodel.readers.onnx.inputs import (
    BATCH,
    ModelInput,
    batch_axes,
    check_names,
    check_values,
    give_numbers,
    model_inputs,
    need_sizes,
    open_sizes,
)
from perfmodel.readers.onnx.model import Model, open_model
from perfmodel.readers.tracing.network import Network, role_of
from perfmodel.readers.tracing.open_sizes import opened, settle
from perfmodel.readers.tracing.values import Value
from perfmodel.transforms.patterns import recognise

#: tensors in a list that is fed
MAX_ITEMS = 4_096
_NETWORK_FLOATS = ("fp32", "fp16", "bf16", "fp64")


@dataclass(frozen=True)
class OnnxWorkload(Workload):
    """A network read from an ONNX file.

    ``shapes`` and ``values`` are what the user gave for inputs: whole shapes, and
    the values of integer inputs. ``patterns``: operators written out in primitive nodes
    are recognised.
    """

    model: Model
    inputs: tuple[ModelInput, ...]
    main: str
    shapes: Mapping[str, tuple[int, ...]]
    values: Mapping[str, tuple[int, ...]]
    patterns: bool = True

    def dims(self, phase: str) -> Mapping[str, Dim | str]:
        sizes: dict[str, Any] = dict.fromkeys(open_sizes(self.inputs))
        leading = batch_axes(self.inputs)
        fixed = [d for d in leading.values() if isinstance(d, int)]
        if leading:
            sizes[BATCH] = fixed[0] if fixed else None
        return sizes

    def with_inputs(
        self, shapes: Mapping[str, tuple[int, ...]], values: Mapping[str, tuple[int, ...]]
    ) -> OnnxWorkload:
        check_names(self.model.file.name, shapes, self.inputs)
        return replace(self, shapes={**self.shapes, **shapes}, values={**self.values, **values})

    def with_patterns(self, wanted: bool) -> OnnxWorkload:
        return replace(self, patterns=wanted)

    def build(self, dims: Mapping[str, Dim], phase: str, precision: Precision) -> Graph:
        sizes = {k: v for k, v in dims.items() if v is not None}
        swept = {k: v for k, v in sizes.items() if isinstance(v, np.ndarray)}
        if swept:
            return self._swept(sizes, swept, phase, precision)
        return self.trace(sizes, phase, precision)

    def trace(self, sizes: Mapping[str, Any], phase: str, precision: Precision) -> Graph:
        """Return the graph for sizes that are numbers, or Symbols."""
        net, fed, outputs = self.imported(sizes, precision)
        settle(net.nodes)
        if not any(map(is_symbolic, sizes.values())):
            for node in net.nodes:
                with _reading(self.model.file, f"'{node.name}' in "):
                    node.algorithms()  # what makes no sense shows here at the latest
        made = [net.tensor(v) for v in outputs if v.items is None and not v.is_constant]
        graph = Graph(
            name=self.name,
            phase=phase,
            precision=precision,
            dims={k: v for k, v in self._bound(sizes).items() if v is not None},
            nodes=tuple(net.nodes),
            inputs=fed,
            outputs=tuple(t.name for t in made),
            shared=net.shared(),
            notes=tuple(f"{text} ({n} times)" if n > 1 else text for text, n in net.notes.items()),
        )
        return recognise(graph) if self.patterns else graph

    def imported(
        self, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Network, tuple[Tensor, ...], list[Value]]:
        """Return the imported network, the tensors that are fed, and the model's outputs."""
        sizes = {k: opened(v) for k, v in sizes.items()}
        bound = self._bound(sizes)
        need_sizes(self.model.file.name, self.inputs, bound, self.shapes)
        net = Network(precision, self.main)
        fixed = [d for d in batch_axes(self.inputs).values() if isinstance(d, int)]
        batch = (fixed[0], sizes[BATCH]) if fixed and BATCH in sizes else None
        importer = Importer(self.model, net, self.values, sizes=bound, batch=batch)
        for text in self.model.notes:
            net.note(text)
        with _reading(self.model.file):
            scope = {item.name: self._input(item, bound, net, sizes) for item in self.inputs}
            parts = [p for v in scope.values() for p in ([v] if v.items is None else v.items)]
            outputs = importer.graph(self.model.proto.graph, scope)
        net.finish()
        check_values(self.model.file.name, self.values, importer.taken, self.inputs)
        return net, tuple(p.tensor for p in parts if p.tensor is not None), outputs

    def _bound(self, sizes: Mapping[str, Any]) -> dict[str, Any]:
        """Return the open sizes' values: set by name, by `batch`, or by a whole shape."""
        bound: dict[str, Any] = {}
        if BATCH in sizes:
            opened = [d for d in batch_axes(self.inputs).values() if isinstance(d, str)]
            bound.update(dict.fromkeys(opened, sizes[BATCH]))
        for item in self.inputs:
            for size, name in zip(self.shapes.get(item.name, ()), item.shape or (), strict=False):
                if isinstance(name, str):
                    bound.setdefault(name, size)
        return {**bound, **sizes}

    def _input(
        self, item: ModelInput, bound: Mapping[str, Any], net: Network, sizes: Mapping[str, Any]
    ) -> Value:
        leading = BATCH in sizes and item.name in batch_axes(self.inputs)
        if item.name in self.shapes:
            shape: tuple[Dim, ...] = self.shapes[item.name]
        else:
            shape = tuple(bound[d] if isinstance(d, str) else d for d in item.shape or ())
            if shape and item.name in batch_axes(self.inputs):
                shape = (sizes[BATCH] if leading else opened(shape[0]), *shape[1:])
        numbers = self.values.get(item.name)
        if item.container == "sequence":
            # A list of tensors alike; --value says how many.
            held = 1 if numbers is None else numbers[0] if len(numbers) == 1 else -1
            if not 0 <= held <= MAX_ITEMS:
                raise InputError(
                    f"--value {item.name}: expected the number of tensors in the list,"
                    f" at most {MAX_ITEMS:,}"
                )
            if numbers is None:
                net.note(f"the list '{item.name}' is taken to hold one tensor"
                         f" (--value {item.name}=N decides)")  # fmt: skip
            parts = [self._fed(f"{item.name}.{i}", item.dtype, shape, net) for i in range(held)]
            return Value(item.name, item.dtype, items=parts)
        return self._fed(item.name, item.dtype, shape, net, numbers)

    def _fed(
        self,
        name: str,
        dtype: str,
        shape: tuple[Dim, ...],
        net: Network,
        numbers: Sequence[int] | None = None,
    ) -> Value:
        """Return a tensor that is fed, with its numbers where the user gave them."""
        value = Value(name, dtype, shape)
        if numbers is not None:
            give_numbers(value, numbers)
        form = net.format(dtype)
        value.tensor = Tensor(value.shape, form, role_of(form), net.name(name))  # type: ignore[arg-type]
        return value

    def _swept(
        self,
        sizes: Mapping[str, Any],
        swept: Mapping[str, Any],
        phase: str,
        precision: Precision,
    ) -> Graph:
        """Return the graph over arrays of sizes: traced once with the sizes as Symbols."""
        from perfmodel.readers.document import workload_of_graph

        traced = {k: Symbol.named(k, int(v.flat[0])) if k in swept else v for k, v in sizes.items()}
        graph = self.trace(traced, phase, precision)
        return workload_of_graph(graph, self.about).bind(
            {k: v for k, v in sizes.items() if k in swept}, phase=phase, dtype=precision
        )


def read_onnx(file: Path) -> OnnxWorkload:
    """Return the workload in an ONNX file; InputError for whatever is wrong with it."""
    return _read(file, file.stat().st_mtime_ns if file.is_file() else 0)


@lru_cache(maxsize=8)
def _read(file: Path, written: int) -> OnnxWorkload:
    model = open_model(file)
    with _reading(file):
        inputs = tuple(model_inputs(model))
        main = _main_format(model, inputs)
    name = "".join(c if c.isalnum() or c in "_.-" else "-" for c in file.stem) or "model"
    writer = _text(model.proto.producer_name) or "an unknown producer"
    about = {
        "title": _text(model.proto.graph.name) or file.stem,
        "family": "other",
        "source": f"ONNX file written by {writer} {_text(model.proto.producer_version)}".strip(),
        "file": str(file),
    }
    name = name if name[0].isalpha() or name[0] == "_" else f"model-{name}"
    return OnnxWorkload(
        name, ("inference", "training"), parse_precision(main), about, model, inputs, main, {}, {}
    )


def _text(value: str | bytes) -> str:
    """Return a text of the file, which protobuf hands out as bytes where it is none."""
    return one_line(value.decode("utf-8", "replace") if isinstance(value, bytes) else value)


@contextmanager
def _reading(file: Path, place: str = "") -> Iterator[None]:
    """Have whatever goes wrong with the model say its file."""
    try:
        yield
    except InputError as error:
        if error.where or str(file) in error.message:
            raise
        raise InputError(error.message, where=str(file), mend=error.mend) from None
    except MALFORMED as error:
        raise InputError(
            f"{place}'{file}' makes no sense as a model:"
            f" {type(error).__name__} {shorten(str(error))}",
            mend="expected a file written by onnx.save or an exporter",
        ) from error


def _main_format(model: Model, inputs: Sequence[ModelInput]) -> str:
    """Return the float format of most of the weights, or of the inputs."""
    held: Counter[str] = Counter()
    for tensor in model.initializers():
        form = FORMAT_OF.get(tensor.data_type, "fp32")
        if form in _NETWORK_FLOATS:
            held[form] += max(1, int(product(tuple(int(d) for d in tensor.dims))))
    if not held:
        held.update(i.dtype for i in inputs if i.dtype in _NETWORK_FLOATS)
    return held.most_common(1)[0][0] if held else "fp32"
