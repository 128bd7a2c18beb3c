"""Loops: a body run a number of times that is known, found out, given, or taken as one.

A body whose tensors keep their shapes is counted once and multiplied. One that changes
from one execution to the next (a cache that grows, a condition on the step) is
imported once for each execution, as long as that stays small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from perfmodel.core import Dim
from perfmodel.core.dims import same
from perfmodel.core.symbols import is_symbolic
from perfmodel.errors import InputError
from perfmodel.graph import Node
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import Made, handles
from perfmodel.readers.onnx.repeating import computed, stacked
from perfmodel.readers.tracing.network import Trial
from perfmodel.readers.tracing.values import Value, data_of

#: nodes that are worth a visit to know the values that a loop ends with, and steps
MAX_VISITS = 6_000
MAX_STEPS = 4_096
#: trip counts from here on mean "until the condition says so"
ENDLESS = 2**31


@handles("Loop")
def loop(call: Call) -> Made:
    """``limit, going, states -> states, collected``: a body run so many times."""
    return _Loop(call).run()


@dataclass(eq=False)
class _Whole:
    """A body imported once for all its executions, with states of unknown values.

    ``counted`` tells whether its condition always holds; ``plain``, whether a step
    leaves the states' sizes as they are.
    """

    trips: Dim
    trial: Trial
    made: list[Value]
    error: InputError | None
    counted: bool
    plain: bool


@dataclass(eq=False)
class _Steps:
    """A body run step by step, and taken out again.

    ``ended`` tells whether the last step is known to be the last.
    """

    trial: Trial
    made: list[list[Value]] = field(default_factory=list)
    parts: list[list[Node]] = field(default_factory=list)
    ended: bool = False

    @property
    def alike(self) -> bool:
        """Whether every step does the same work."""
        first = _signature(self.parts[0]) if self.parts else ()
        return all(_signature(part) == first for part in self.parts[1:])


def _signature(nodes: Sequence[Node]) -> Any:
    return tuple(
        (n.op, tuple(t.shape for t in (*n.tensors.sources, *n.tensors.outputs)))
        for n in nodes
        if n.tensors.sources
    )


class _Loop:
    def __init__(self, call: Call) -> None:
        self.call = call
        self.body = call.attr("body")
        if self.body is None:
            raise InputError("a Loop without a body")
        states = [v for v in call.inputs[2:] if v is not None]
        if len(self.body.input) != len(states) + 2:
            raise InputError(
                f"Loop's body takes {len(self.body.input)} inputs, {len(states) + 2} are given"
            )
        if len(self.body.output) < len(states) + 1:
            raise InputError(
                f"Loop's body has {len(self.body.output)} outputs,"
                f" expected a condition and {len(states)} states"
            )
        self.states = states

    def run(self) -> list[Value]:
        limit = self._limit()
        going = self.call.optional(1)
        never = going is not None and going.data is not None and not going.data.all()
        if never or (limit is not None and same(limit, 0)):
            return self._nothing()
        whole = self._whole(1 if limit is None else limit)
        if (
            limit is not None
            and whole.counted
            and whole.plain
            and not self._worth_steps(limit, whole)
        ):
            return self._multiplied(whole)
        steps = _Steps(Trial()) if limit is None and whole.counted else self._steps(limit)
        if not steps.ended:
            if whole.error is not None and not steps.made:
                raise whole.error
            return self._open(limit, whole)
        if steps.alike and whole.error is None:
            trips = len(steps.made)
            return self._multiplied(whole if whole.trips is trips else self._whole(trips), steps)
        self.call.net.adopt(steps.trial)
        return self._after(steps.made, len(steps.made))

    def _limit(self) -> Dim | None:
        """Return the most executions: given by the user, or known; None where it is open."""
        call, count = self.call, self.call.optional(0)
        given = call.importer.given(call.name)
        if given is not None:
            return given[0]
        if count is None or count.data is None or count.data.size != 1:
            return None
        limit = count.data.item()
        if is_symbolic(limit):
            return limit  # type: ignore[no-any-return]
        if not isinstance(limit, int | float) or not 0 <= limit < ENDLESS:
            return 0 if isinstance(limit, int | float) and limit < 0 else None
        return int(limit)

    def _worth_steps(self, limit: Dim, whole: _Whole) -> bool:
        """Tell whether running step by step costs little, and tells more.

        It tells the values that states end with, and what a step's number decides.
        """
        count = self.call.optional(0)
        fixed = count is not None and count.stored is not None
        if not isinstance(limit, int) or not (fixed or self.call.importer.given(self.call.name)):
            return False  # a converted file, which leaves sizes open, could not
        visits = limit * len(self.body.node)
        counts = any(v.data is not None for v in self.states) and visits <= MAX_VISITS / 3
        return counts or (bool(whole.trial.noted) and visits <= MAX_VISITS)

    def _whole(self, trips: Dim) -> _Whole:
        """Import the body for all its executions, and take it out again."""
        made: list[Value] = []
        error = None
        with self.call.net.aside() as trial, self.call.net.times(trips):
            try:
                made = self._body([computed(self.call, v) for v in self.states])
            except InputError as found:
                error = found
        counted = error is None and made[0].data is not None and bool(made[0].data.all())
        plain = error is None and all(map(_alike, self.states, made[1:]))
        return _Whole(trips, trial, made, error, counted, plain)

    def _body(self, states: Sequence[Value], step: int | None = None) -> list[Value]:
        before = Value(self.body.input[0].name, "int64", ())
        # Where the body runs, its condition holds.
        going = Value(self.body.input[1].name, "bool", (), data_of([True], ()))
        if step is not None:
            before.data = data_of([step], ())
        return self.call.subgraph(self.body, [before, going, *states])

    def _steps(self, limit: Dim | None) -> _Steps:
        """Run the body with the numbers that each step has, as long as they are known."""
        net, states = self.call.net, self.states
        made: list[list[Value]] = []
        parts: list[list[Node]] = []
        ended = False
        with net.aside() as trial, self.call.importer.stepping() as may_go_on:
            while len(made) < MAX_STEPS and not is_symbolic(limit) and may_go_on():
                start = len(net.nodes)
                states = [_stepping(self.call, v) for v in states]
                try:
                    made.append(self._body(states, len(made)))
                except InputError:
                    break
                parts.append(net.nodes[start:])
                states = made[-1][1 : 1 + len(self.states)]
                going = made[-1][0].data
                if going is not None and not going.all():
                    ended = True
                if limit is not None and len(made) >= int(limit):
                    ended = going is not None
                if ended or going is None:
                    break
        return _Steps(trial, made, parts, ended)

    def _multiplied(self, whole: _Whole, steps: _Steps | None = None) -> list[Value]:
        """Count the body once and multiply; ``steps`` know how the states end."""
        self.call.net.adopt(whole.trial)
        if steps is None:
            return self._after([whole.made], whole.trips)
        last = steps.made[-1][1:]
        ends = [
            _grown(self.call, state, made, whole.trips) if made.items is not None
            else replace(made, shape=end.shape, data=end.data)
            for state, made, end in zip(self.states, whole.made[1:], last, strict=False)
        ]  # fmt: skip
        return [*ends, *(stacked(self.call, v, whole.trips) for v in whole.made[1 + len(ends) :])]

    def _open(self, limit: Dim | None, whole: _Whole) -> list[Value]:
        """Count a body that cannot be run step by step to its end."""
        call, count = self.call, self.call.optional(0)
        given = call.importer.given(call.name) is not None
        name = call.name if count is None or count.is_constant else count.name
        trips: Dim = 1 if limit is None else limit
        if limit is None:
            call.net.note(
                f"Loop '{call.name}' runs an unknown number of times: once is taken"
                f" (--value {name}=N decides)"
            )
        elif not whole.counted and not given:
            call.net.note(
                f"Loop '{call.name}' runs at most {trips} times: that is taken"
                f" (--value {call.name}=N decides)"
            )
        if whole.error is not None:
            # Its first step, with the numbers that this one has.
            with call.net.times(trips):
                return self._open_ended(self._after([self._body(self.states, 0)], trips))
        if whole.plain or same(trips, 1):
            return self._open_ended(self._multiplied(whole), grows=not whole.plain)
        call.net.note(f"Loop '{call.name}' has tensors that grow: their middle size is taken")
        ends = list(zip(self.states, whole.made[1:], strict=False))
        middle = [computed(call, _grown(call, a, b, (trips - 1) // 2)) for a, b in ends]
        with call.net.times(trips):
            made = self._body(middle)
        return [
            *(_grown(call, a, b, trips, m) for (a, b), m in zip(ends, made[1:], strict=False)),
            *(stacked(call, v, trips) for v in made[1 + len(ends) :]),
        ]

    def _open_ended(self, made: list[Value], grows: bool = True) -> list[Value]:
        """Mark the outputs whose sizes depend on how often the body runs."""
        if self._limit() is None:
            for value in made[0 if grows else len(self.states) :]:
                value.bound = True
        return made

    def _after(self, made: Sequence[Sequence[Value]], trips: Dim) -> list[Value]:
        """Return the loop's outputs: the last states, and what every step gives."""
        last = made[-1]
        n = 1 + len(self.states)
        return [*map(replace, last[1:n]), *(stacked(self.call, v, trips) for v in last[n:])]

    def _nothing(self) -> list[Value]:
        """Return the outputs of a body that never runs."""
        formats = ["fp32"] * len(self.body.output)
        shapes: list[tuple[Dim, ...]] = [()] * len(self.body.output)
        with self.call.net.aside() as trial:
            try:
                for i, value in enumerate(self._body(self.states, 0)):
                    formats[i], shapes[i] = value.dtype, value.shape
            except InputError:
                pass  # what it would have done matters to nobody
        self.call.net.spare(trial)
        n = 1 + len(self.states)
        empty = [
            Value(name, form, (0, *shape), np.empty((0, *map(int, shape)), dtype=object))
            for name, form, shape in zip(self.call.outputs[n - 1 :], formats[n:], shapes[n:],
                                         strict=False)
        ]  # fmt: skip
        return [*map(replace, self.states), *empty]


def _alike(before: Value, after: Value) -> bool:
    """Tell whether a state is as large after a step as before it."""
    if before.items is not None or after.items is not None:
        return False
    return before.rank == after.rank and all(map(same, before.shape, after.shape))


def _stepping(call: Call, value: Value) -> Value:
    """Return a state whose numbers are those of this step, where they are known."""
    return replace(value) if value.data is not None else computed(call, value)


def _grown(call: Call, first: Value, last: Value, trips: Dim, made: Value | None = None) -> Value:
    """Return a state after ``trips`` steps, where one takes it from ``first`` to ``last``."""
    if last.items is not None:
        added = len(last.items) - len(first.items or [])
        if added > 0 and last.items and isinstance(trips, int) and trips < MAX_STEPS:
            return replace(last, items=[*(first.items or []), *last.items[-added:] * trips])
        return replace(last)
    value = replace(made or first, data=None)
    if first.rank != last.rank:
        return value
    shape = tuple(
        a if same(a, b) else a + (b - a) * trips
        for a, b in zip(first.shape, last.shape, strict=True)
    )
    grows = tuple(a - b for a, b in zip(shape, value.shape, strict=True))
    if all(same(d, 0) for d in grows):
        return value
    return call.emit("pad", value, before=(0,) * len(grows), after=grows, suffix=".grown")[0]
