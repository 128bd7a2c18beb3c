"""Einstein summation: the order of contraction, and equations that are refused."""

from typing import Any

import pytest

from perfmodel.core import Tensor, parse_precision
from perfmodel.errors import InputError
from perfmodel.graph import bind_operator
from perfmodel.ops import get_operator
from perfmodel.readers.inline import parse_inline


def _macs(inline: str) -> Any:
    (node,) = parse_inline(inline).bind().nodes
    return node.op.work(node.tensors).macs


def test_a_matrix_product_costs_what_matmul_says() -> None:
    assert _macs("einsum:a=8,b=16,c=4") == _macs("matmul:m=8,n=4,k=16")


def test_a_chain_is_contracted_from_its_narrow_end() -> None:
    # (AB)v costs a b c + a c, A(Bv) costs b c + a b.
    assert _macs("einsum:equation=ab;bc;c->a,a=50,b=60,c=70") == 60 * 70 + 50 * 60


@pytest.mark.parametrize(
    ("equation", "message"),
    [
        ("ab,bc", "expected one such as ab,bc->ac"),
        ("ab,bc->ad", "expected one such as"),
        ("a1,bc->a", "expected one such as"),
        ("aa,ab->b", "an index occurs twice"),
        ("ab->a", "operands against the equation"),
        ("ab,cb->ac", "size of index b"),
        ("abc,bc->a", "expects an operand abc"),
    ],
)
def test_an_equation_that_does_not_fit_is_refused(equation: str, message: str) -> None:
    op: Any = get_operator("einsum")(equation=equation)  # type: ignore[call-arg]
    inputs = [Tensor((2, 3), "fp32"), Tensor((3, 4), "fp32")]
    with pytest.raises(InputError, match=message):
        bind_operator("y", op, inputs, parse_precision("fp32"))


def test_the_inline_form_knows_eight_indices() -> None:
    with pytest.raises(InputError, match="the indices a to h"):
        _macs("einsum:equation=ij;jk->ik,a=2")
