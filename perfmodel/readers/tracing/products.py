"""Matrix products and Einstein summations of any model, as operators of the graph."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_letters

from perfmodel.core import Dim
from perfmodel.core.dims import same
from perfmodel.errors import InputError, shorten
from perfmodel.readers.tracing.step import Step
from perfmodel.readers.tracing.values import Value

_LETTERS = "".join(sorted(ascii_letters))


def linear(
    call: Step, x: Value, weight: Value, units_axis: int, bias: Value | None, suffix: str = ""
) -> Value:
    """Put ``x @ weight`` into the graph, an affine layer where the weight is stored."""
    units = weight.shape[units_axis]
    if not same(weight.shape[1 - units_axis], x.shape[-1]):
        raise InputError(
            f"{call.op}: rows of {len(x.shape)}-d {shown(x)} do not fit the weight {shown(weight)}"
        )
    fits = bias is not None and bias.is_constant and same(bias.elements, units)
    stored = {"weight": weight, "bias": bias} if fits and bias is not None else {"weight": weight}
    (y,) = call.emit("affine", x, stored=stored, units=units, bias=fits, suffix=suffix)
    if bias is not None and not fits:
        (y,) = call.emit("add", y, bias, suffix=f"{suffix}.bias")
    return y


def shown(value: Value) -> str:
    """Write a value's shape for a message."""
    return f"{shorten(value.name)}[{', '.join(map(str, value.shape))}]"


def contract(call: Step, equation: str, operands: Sequence[Value], suffix: str = "") -> Value:
    """Put an Einstein summation into the graph, with indices of one place left out.

    An operand's axis of one place broadcasts against the same index elsewhere; as
    it stores one place only, the operand is read without it.
    """
    left, _, output = equation.partition("->")
    extent: dict[str, Dim] = {}
    for term, x in zip(left.split(","), operands, strict=True):
        if len(term) != x.rank:
            raise InputError(
                f"{call.op}: {shown(x)} has {x.rank} axes, {term or 'scalar'} none such"
            )
        for index, size in zip(term, x.shape, strict=True):
            if same(size, 1):
                extent.setdefault(index, 1)
            elif index in extent and not same(extent[index], 1) and not same(extent[index], size):
                raise InputError(f"{call.op}: an index has {extent[index]} and {size} places")
            else:
                extent[index] = size
    alone = {i for i, size in extent.items() if same(size, 1)}
    terms, values = [], []
    for term, x in zip(left.split(","), operands, strict=True):
        kept = [a for a, size in enumerate(x.shape) if not same(size, 1)]
        values.append(x if len(kept) == x.rank else call.view(x, [x.shape[a] for a in kept]))
        terms.append("".join(term[a] for a in kept))
    inner = "".join(i for i in output if i not in alone)
    shape = [extent[i] for i in output]
    y = _contracted(call, terms, inner, values, suffix)
    return call.view(y, shape)


def _contracted(
    call: Step, terms: list[str], output: str, values: list[Value], suffix: str
) -> Value:
    for i, term in enumerate(terms):
        unique = "".join(dict.fromkeys(term))
        if unique != term:
            # The diagonal: one read a value that is on it.
            shape = [values[i].shape[term.index(c)] for c in unique]
            (values[i],) = call.opaque(shape, formats=[values[i].dtype])
            terms[i] = unique
    if len(values) == 1:
        (x,), (term,) = values, terms
        gone = tuple(i for i, c in enumerate(term) if c not in output)
        if gone:
            (x,) = call.emit("reduce_sum", x, axes=gone, keep=False, suffix=suffix)
            term = "".join(c for c in term if c in output)
        if term != output:
            axes = tuple(term.index(c) for c in output)
            (x,) = call.emit("transpose", x, axes=axes, suffix=f"{suffix}.transposed")
        return x
    return call.emit("einsum", *values, equation=f"{','.join(terms)}->{output}", suffix=suffix)[0]


def multiply(
    call: Step,
    a: Value,
    b: Value,
    *,
    transposed: tuple[bool, bool] = (False, False),
    bias: Value | None = None,
    suffix: str = "",
) -> Value:
    """Put ``a b`` into the graph: ``a[...,M,K], b[...,K,N]``, batch axes broadcasting.

    Affine where ``b`` is a stored matrix; a product of matrices that need no
    transposing; else an Einstein summation, whose kernel reads either layout.
    """
    if not a.rank or not b.rank:
        raise InputError(f"{call.op} takes no scalar: {shown(a)}, {shown(b)}")
    if b.is_constant and b.rank == 2 and a.rank >= 2 and not a.is_constant and not transposed[0]:
        return linear(call, a, b, 0 if transposed[1] else 1, bias, suffix)
    plain = not any(transposed) and a.rank >= 2 and b.rank >= 2
    fit = b.rank == 2 or (a.rank == b.rank and all(map(same, a.shape[:-2], b.shape[:-2])))
    if plain and fit:
        if not same(a.shape[-1], b.shape[-2]):
            raise InputError(f"{call.op}: columns of {shown(a)} do not fit rows of {shown(b)}")
        (y,) = call.emit("matmul", a, b, suffix=suffix)
    else:
        y = contract(call, _equation(a, b, transposed), (a, b), suffix)
    if bias is not None:
        (y,) = call.emit("add", y, bias, suffix=f"{suffix}.bias")
    return y


def _equation(a: Value, b: Value, transposed: tuple[bool, bool]) -> str:
    """Return the summation that numpy's matmul is: batch axes from the right, then m, n, k."""
    batch = "abcdefghij"[: max(a.rank, b.rank, 2) - 2]
    ends = []
    for x, order, swapped in ((a, "mk", transposed[0]), (b, "kn", transposed[1])):
        own = "k" if x.rank == 1 else order[::-1] if swapped else order
        lead = max(x.rank - 2, 0)
        ends.append((batch[len(batch) - lead :] if lead else "") + own)
    output = batch + ("m" if a.rank > 1 else "") + ("n" if b.rank > 1 else "")
    return f"{ends[0]},{ends[1]}->{output}"


def plain_equation(equation: str, operands: Sequence[Value]) -> str:
    """Return an equation with its ellipses spelled out and its output written."""
    left, arrow, output = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise InputError(
            f"einsum: {shorten(equation)} names {len(terms)} operands, found {len(operands)}"
        )
    free = [c for c in _LETTERS if c not in equation]
    wide = [x.rank - len(t.replace("...", "")) for t, x in zip(terms, operands, strict=True)]
    most = max((n for t, n in zip(terms, wide, strict=True) if "..." in t), default=0)
    if most > len(free) or any(n < 0 or (n and "..." not in t)
                               for t, n in zip(terms, wide, strict=True)):  # fmt: skip
        raise InputError(
            f"einsum: {shorten(equation)} does not fit operands of"
            f" {', '.join(str(x.rank) for x in operands)} axes"
        )
    rest = "".join(free[:most])
    spelled = [t.replace("...", rest[most - n :] if n else "")
               for t, n in zip(terms, wide, strict=True)]  # fmt: skip
    if arrow:
        output = output.replace("...", rest)
    else:
        letters = "".join(terms).replace(".", "")
        output = rest + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    if set(output) - set("".join(spelled)) or not all(c.isalpha() for c in "".join(spelled)):
        raise InputError(f"einsum: {shorten(equation)} is no equation such as ij,jk->ik")
    return f"{','.join(spelled)}->{output}"
