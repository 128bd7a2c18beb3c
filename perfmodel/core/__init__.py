"""The nouns: Dim, Tensor, Work, Algorithm, Operator. No operator is known here."""

from perfmodel.core.blocking import gemm_extra_traffic, missed, missed_share
from perfmodel.core.dims import Dim
from perfmodel.core.formats import Precision, parse_precision
from perfmodel.core.gemms import Gemm, GemmTraffic, gemms_work
from perfmodel.core.gradient import Gradient, gradient_of
from perfmodel.core.layouts import (
    FILTER_LAYOUTS,
    IMAGE_AXES,
    LAYOUTS,
    OUTPUT_AXES,
    TAP_AXES,
    axes_text,
    filter_shape,
    in_layout,
    split_layout,
)
from perfmodel.core.operator import (
    REQUIRED,
    Bound,
    Inferred,
    Operator,
    choice,
    flag,
    moving,
    pads,
    pair,
    size,
    size_list,
    text,
)
from perfmodel.core.pattern import Pattern
from perfmodel.core.tensor import Tensor
from perfmodel.core.windows import (
    PAD_MODES,
    adaptive_taps,
    borders,
    both,
    per_axis,
    split_borders,
    window_output,
    window_outputs,
)
from perfmodel.core.work import ENGINES, Access, Algorithm, Engine, Work, WorkBuilder

__all__ = [
    "ENGINES",
    "FILTER_LAYOUTS",
    "IMAGE_AXES",
    "LAYOUTS",
    "OUTPUT_AXES",
    "PAD_MODES",
    "REQUIRED",
    "TAP_AXES",
    "Access",
    "Algorithm",
    "Bound",
    "Dim",
    "Engine",
    "Gemm",
    "GemmTraffic",
    "Gradient",
    "Inferred",
    "Operator",
    "Pattern",
    "Precision",
    "Tensor",
    "Work",
    "WorkBuilder",
    "adaptive_taps",
    "axes_text",
    "borders",
    "both",
    "choice",
    "filter_shape",
    "flag",
    "gemm_extra_traffic",
    "gemms_work",
    "gradient_of",
    "in_layout",
    "missed",
    "missed_share",
    "moving",
    "pads",
    "pair",
    "parse_precision",
    "per_axis",
    "size",
    "size_list",
    "split_borders",
    "split_layout",
    "text",
    "window_output",
    "window_outputs",
]
