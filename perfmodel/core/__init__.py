"""The nouns: Dim, Tensor, Work, Algorithm, Operator. No operator is known here."""

from perfmodel.core.blocking import gemm_extra_traffic, missed, missed_share
from perfmodel.core.dims import Dim
from perfmodel.core.formats import Precision, parse_precision
from perfmodel.core.gradient import Gradient, gradient_of
from perfmodel.core.operator import (
    REQUIRED,
    Bound,
    Inferred,
    Operator,
    borders,
    both,
    choice,
    flag,
    pads,
    pair,
    size,
    size_list,
    window_output,
)
from perfmodel.core.tensor import Tensor
from perfmodel.core.work import ENGINES, Access, Algorithm, Engine, Work, WorkBuilder

__all__ = [
    "ENGINES",
    "REQUIRED",
    "Access",
    "Algorithm",
    "Bound",
    "Dim",
    "Engine",
    "Gradient",
    "Inferred",
    "Operator",
    "Precision",
    "Tensor",
    "Work",
    "WorkBuilder",
    "borders",
    "both",
    "choice",
    "flag",
    "gemm_extra_traffic",
    "gradient_of",
    "missed",
    "missed_share",
    "pads",
    "pair",
    "parse_precision",
    "size",
    "size_list",
    "window_output",
]
