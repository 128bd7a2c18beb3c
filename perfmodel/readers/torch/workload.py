"""A PyTorch program as a Workload: sizes kept open, bound at the end or swept."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from perfmodel.core import Dim, Precision, Tensor, parse_precision
from perfmodel.core.dims import largest, product, smallest
from perfmodel.core.symbols import Symbol
from perfmodel.errors import InputError, did_you_mean
from perfmodel.graph import Graph, Workload
from perfmodel.readers.torch.export import exported, loaded
from perfmodel.readers.torch.formats import format_of
from perfmodel.readers.torch.naming import input_names, named_sizes
from perfmodel.readers.torch.sizes import Sizes
from perfmodel.readers.torch.walk import Walker
from perfmodel.readers.tracing.network import Network, role_of
from perfmodel.readers.tracing.values import Value, data_of
from perfmodel.transforms.patterns import recognise

_NETWORK_FLOATS = ("fp32", "fp16", "bf16", "fp64")


@dataclass(frozen=True)
class TorchWorkload(Workload):
    """A network read from an exported program.

    ``names`` gives each symbol of the program the name that `--set` takes, ``hints``
    the size it had when it was exported; ``values`` are numbers that the user gave for
    integer inputs. ``patterns``: operators in primitive nodes are recognised.
    """

    program: Any
    main: str
    names: Mapping[str, str]
    hints: Mapping[str, int]
    values: Mapping[str, tuple[int, ...]]
    patterns: bool = True

    def with_patterns(self, wanted: bool) -> TorchWorkload:
        return replace(self, patterns=wanted)

    def dims(self, phase: str) -> Mapping[str, Dim | str]:
        return {self.names[s]: hint for s, hint in self.hints.items()}

    def with_inputs(
        self, shapes: Mapping[str, tuple[int, ...]], values: Mapping[str, tuple[int, ...]]
    ) -> Workload:
        inputs = dict(self._inputs())
        for name in (*shapes, *values):
            if name not in inputs:
                raise InputError(
                    f"{self.name} has no input '{name}'", mend=did_you_mean(name, inputs)
                )
        chosen: dict[str, Dim] = {}
        for name, shape in shapes.items():
            written = list(getattr(inputs[name], "shape", ()))
            shown = f"--input {name}={'x'.join(map(str, shape))}"
            if len(written) != len(shape):
                raise InputError(f"{shown} has {len(shape)} axes, expected {len(written)}")
            for size, given in zip(written, shape, strict=True):
                symbol = self.names.get(str(size))
                if symbol is not None:
                    if chosen.setdefault(symbol, given) != given:
                        raise InputError(f"{shown} gives '{symbol}' two sizes")
                elif isinstance(size, int) and size != given:
                    raise InputError(
                        f"{shown}: {given} where the program was exported for {size}",
                        mend="export it with dynamic_shapes",
                    )
        found = replace(self, values={**self.values, **values})
        return found.with_dims(chosen) if chosen else found

    def build(self, dims: Mapping[str, Dim], phase: str, precision: Precision) -> Graph:
        sizes: dict[str, Any] = {**self.dims(phase), **dims}
        self._check_ranges(sizes)
        symbolic = {k: v for k, v in sizes.items() if isinstance(v, Symbol)}
        traced = {k: symbolic.get(k, Symbol.named(k, int(h))) for k, h in self.dims(phase).items()}
        graph = self.trace(traced, phase, precision)
        if symbolic or not traced:
            return graph
        # Traced once with open sizes, so that every size gives the graph that the
        # converted file has, whatever the size is.
        from perfmodel.readers.document import workload_of_graph

        bound = workload_of_graph(graph, self.about).bind(sizes, phase=phase, dtype=precision)
        return replace(bound, notes=graph.notes, patterns=graph.patterns)

    def _check_ranges(self, sizes: Mapping[str, Any]) -> None:
        for symbol, limits in self.program.range_constraints.items():
            name = self.names.get(str(symbol))
            if name is None or name not in sizes:
                continue
            low, high = (_limit(v) for v in (limits.lower, limits.upper))
            size = sizes[name]
            if isinstance(size, Symbol):
                continue
            if (high is not None and largest(size) > high) or smallest(size) < min(low or 0, 1):
                raise InputError(
                    f"{name}={size}, the program was exported for {low} to"
                    f" {'any' if high is None else high}"
                )

    def trace(self, sizes: Mapping[str, Any], phase: str, precision: Precision) -> Graph:
        """Return the graph for sizes by name, as numbers or Symbols."""
        # With open sizes the file that the graph becomes says what training changes.
        fixed = not any(isinstance(v, Symbol) for v in sizes.values())
        net = Network(precision, self.main, training=fixed and phase == "training")
        values = {s: sizes[n] for s, n in self.names.items() if n in sizes}
        walker = Walker(net, Sizes(values, self._most()))
        given, fed, parameters = self._given(walker)
        made = walker.graph(self.program.graph_module, given)
        wanted = set(self.program.graph_signature.user_outputs)
        results = [a for a in self._results() if a in wanted or not wanted]
        outputs = [
            net.tensor(v)
            for name, v in zip(self._results(), made, strict=False)
            if isinstance(v, Value) and name in results and not v.is_constant
        ]
        read = net.weights() | set(walker.used)
        for key, value in parameters.items():
            if key not in read:
                net.parameter(value)
        for kind, why in walker.misfits.items():
            net.note(f"{kind} is charged its bytes only: {why}")
        for name in walker.sizes.guessed:
            net.note(f"size {name} is known only when it runs: 1 is taken")
        graph = Graph(
            name=self.name,
            phase=phase,
            precision=precision,
            dims=dict(sizes),
            nodes=tuple(net.nodes),
            inputs=fed,
            outputs=tuple(dict.fromkeys(t.name for t in outputs)),
            shared=net.shared(),
            notes=tuple(f"{text} ({n} times)" if n > 1 else text for text, n in net.notes.items()),
        )
        return recognise(graph) if self.patterns else graph

    def _results(self) -> list[str]:
        last = next(n for n in self.program.graph.nodes if n.op == "output")
        return [getattr(a, "name", "") for a in last.args[0]]

    def _most(self) -> dict[str, int]:
        """Return how large symbols are at most that only running decides."""
        found = {}
        for symbol, limits in self.program.range_constraints.items():
            high = _limit(limits.upper)
            if str(symbol) not in self.names and high is not None and high < 2**24:
                found[str(symbol)] = high
        return found

    def _inputs(self) -> list[tuple[str, Any]]:
        return input_names(self.program)

    def _given(self, walker: Walker) -> tuple[list[Any], tuple[Tensor, ...], dict[str, Value]]:
        """Return what the program's placeholders are: parameters, buffers, inputs."""
        signature, state = self.program.graph_signature, self.program.state_dict
        constants = self.program.constants
        given: list[Any] = []
        fed: list[Tensor] = []
        parameters: dict[str, Value] = {}
        seen: dict[Any, str] = {}
        for node in self.program.graph.nodes:
            if node.op != "placeholder":
                continue
            kinds = (
                (signature.inputs_to_parameters, True),
                (signature.inputs_to_buffers, False),
                (signature.inputs_to_lifted_tensor_constants, False),
            )
            target = next(((m[node.name], learned) for m, learned in kinds if node.name in m), None)
            if target is not None:
                name, learned = target
                tensor = state.get(name, constants.get(name))
                key = seen.setdefault(_memory(tensor, name), name)
                value = walker.stored(name, node.meta["val"], learned, key)
                if learned:
                    parameters.setdefault(key, value)
                if (
                    tensor is not None
                    and tensor.numel() == 1
                    and not str(tensor.dtype).startswith("torch.complex")
                ):
                    value.data = data_of([tensor.item()], tuple(tensor.shape))
                given.append(value)
                continue
            raw = node.meta.get("val")
            if not hasattr(raw, "dtype"):
                given.append(walker.sizes.of(raw))
                continue
            shape, dtype = walker.described(raw)
            value = Value(node.name, dtype, shape)
            if value.name in self.values:
                value.data = data_of(list(self.values[value.name]))
                value.data = value.data.reshape(()) if not shape else value.data
            form = walker.net.format(dtype)
            value.tensor = Tensor(shape, form, role_of(form), walker.net.name(value.name))  # type: ignore[arg-type]
            fed.append(value.tensor)
            given.append(value)
        return given, tuple(fed), parameters


def _limit(value: Any) -> int | None:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError, AttributeError):
        return None
    return number if number < 2**31 else None


def _memory(tensor: Any, name: str) -> Any:
    """Return what tells a tensor's memory from another's: tied ones have the same."""
    try:
        storage = tensor.untyped_storage()
        place = storage.data_ptr() or id(storage._cdata)
        return place, tensor.storage_offset(), tuple(tensor.shape), tuple(tensor.stride())
    except (AttributeError, RuntimeError, NotImplementedError):
        return name


def from_torch(
    module: Any,
    example_inputs: Sequence[Any] | Any = (),
    dynamic_shapes: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
) -> TorchWorkload:
    """Return a PyTorch module as a workload, through torch.export.

    Parameters
    ----------
    module : a torch.nn.Module, exported in evaluation mode and left as it was, or an
        ExportedProgram.
    example_inputs : a tuple of positional arguments, or the one tensor.
    dynamic_shapes : as torch.export.export takes it; a size called by
        ``torch.export.Dim("batch")`` is a dim of the workload, which can be swept.
    kwargs : further arguments by name.
    name : of the workload; by default the module's class.

    Raises InputError where PyTorch cannot export it, MissingExtraError without PyTorch.

        >>> batch = torch.export.Dim("batch")                       # doctest: +SKIP
        >>> net = perfmodel.from_torch(model, x, {"x": {0: batch}})  # doctest: +SKIP
        >>> perfmodel.analyze(net, "h100-sxm", batch=64).totals      # doctest: +SKIP
    """
    inputs = example_inputs if isinstance(example_inputs, tuple | list) else (example_inputs,)
    program = exported(module, inputs, kwargs, dynamic_shapes)
    return _workload(program, name or type(module).__name__, dynamic_shapes, "a PyTorch module")


def read_pt2(file: Path) -> TorchWorkload:
    """Return the workload in a file of torch.export.save; InputError for whatever is wrong."""
    return _read(file, file.stat().st_mtime_ns if file.is_file() else 0)


@lru_cache(maxsize=4)
def _read(file: Path, written: int) -> TorchWorkload:
    return _workload(loaded(file), file.stem, None, "a program exported by PyTorch", str(file))


def _workload(
    program: Any, name: str, dynamic_shapes: Any, source: str, file: str = ""
) -> TorchWorkload:
    names, hints = named_sizes(program, dynamic_shapes)
    main = _main_format(program)
    plain = re.sub(r"[^A-Za-z0-9_.-]", "-", name) or "model"
    plain = plain if plain[0].isalpha() or plain[0] == "_" else f"model-{plain}"
    about = {"title": name, "family": "other", "source": source, "file": file or plain}
    return TorchWorkload(
        plain, ("inference", "training"), parse_precision(main), about, program, main, names,
        hints, {},
    )  # fmt: skip


def _main_format(program: Any) -> str:
    """Return the float format of most of the parameters, or of the inputs."""
    held: Counter[str] = Counter()
    signature = program.graph_signature
    for name in signature.parameters:
        tensor = program.state_dict.get(name)
        if tensor is not None:
            held[format_of(tensor.dtype)] += int(product(tuple(tensor.shape)))
    if not any(f in _NETWORK_FLOATS for f in held):
        for _, raw in input_names(program):
            held[format_of(getattr(raw, "dtype", ""))] += 1
    floats = [(n, f) for f, n in held.items() if f in _NETWORK_FLOATS]
    return max(floats)[1] if floats else "fp32"
