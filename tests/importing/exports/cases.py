"""The corpus: networks of each family, exported by either of PyTorch's exporters."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import onnx
import torch
import zoo_images
import zoo_sequences
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

BOTH = ("dynamo", "script")


@dataclass(frozen=True)
class Case:
    """A network, its inputs for a batch, and what is known of it.

    ``axes`` names the open sizes of each input by axis; ``kept`` are the norms that no
    convolution precedes, so that exporters cannot fold them; ``constants`` are numbers
    of the file that are no parameter of the module, and cannot be told from one.
    """

    make: Callable[[], nn.Module]
    inputs: Callable[[int], tuple[Any, ...]]
    exporters: tuple[str, ...] = BOTH
    axes: tuple[dict[int, str], ...] = ({0: "batch"},)
    kept: str = "-"
    constants: dict[str, int] = field(default_factory=dict)
    counted: bool = True
    needs: str = "torch"


def _images(size: int) -> Callable[[int], tuple[Any, ...]]:
    return lambda batch: (torch.randn(batch, 3, size, size),)


def _ids(batch: int) -> tuple[Any, ...]:
    return (torch.randint(0, 20, (batch, 7)),)


def _two(batch: int) -> tuple[Any, ...]:
    return torch.randint(0, 50, (batch, 7)), torch.ones(batch, 7, dtype=torch.int64)


def _pair(batch: int) -> tuple[Any, ...]:
    return torch.randint(0, 50, (batch, 7)), torch.randint(0, 50, (batch, 5))


#: exporters write the words' table once more, transposed, where the last layer shares it
TIED = {"the last layer": 50 * 16}
WORDS = {0: "batch", 1: "sequence"}
CASES = {
    "resnet": Case(zoo_images.resnet, _images(32)),
    "vgg": Case(zoo_images.vgg, _images(32), ("script",)),
    "mobilenet": Case(zoo_images.mobilenet, _images(32)),
    "efficientnet": Case(zoo_images.efficientnet, _images(32), ("script",)),
    "densenet": Case(zoo_images.densenet, _images(32), kept="before"),
    "inception": Case(zoo_images.inception, _images(32), ("script",)),
    "convnext": Case(zoo_images.convnext, _images(32)),
    "unet": Case(zoo_images.UNet, _images(32)),
    "lstm": Case(lambda: zoo_sequences.Recurrent("LSTM", num_layers=2), _ids, counted=False),
    "bidirectional gru": Case(
        lambda: zoo_sequences.Recurrent("GRU", bidirectional=True), _ids, ("script",),
        counted=False,
    ),
    "embedding bag": Case(zoo_sequences.Bag, _ids, ("script",)),
    "bert": Case(zoo_sequences.bert, _two, axes=(WORDS, WORDS), needs="transformers"),
    "gpt2": Case(
        zoo_sequences.gpt2, _ids, ("dynamo",), (WORDS,), needs="transformers", constants=TIED
    ),
    "llama": Case(
        zoo_sequences.llama, _ids, ("dynamo",), (WORDS,), needs="transformers",
        constants={"frequencies of the rotation": 4},
    ),
    "t5": Case(
        zoo_sequences.t5, _pair, ("script",), (WORDS, {0: "batch", 1: "made"}),
        needs="transformers", constants=TIED,
    ),
    "vit": Case(zoo_sequences.vit, _images(16), needs="transformers"),
}  # fmt: skip


def made(case: Case) -> nn.Module:
    """Return the case's network with weights that all differ.

    Exporters write equal tensors once, so that fresh norms would be one parameter.
    """
    torch.manual_seed(0)
    module = case.make().eval()
    with torch.no_grad():
        for tensor in module.parameters():
            tensor.normal_()
    return module


def exported(module: nn.Module, inputs: tuple[Any, ...], exporter: str, axes: Any) -> Any:
    """Return the module as an ONNX model."""
    names = [f"in{i}" for i in range(len(inputs))]
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            if exporter == "dynamo":
                shapes = tuple({a: torch.export.Dim(n) for a, n in given.items()} for given in axes)
                program = torch.onnx.export(
                    module, inputs, input_names=names, dynamo=True, dynamic_shapes=shapes,
                    verbose=False,
                )  # fmt: skip
                return program.model_proto
            file = io.BytesIO()
            torch.onnx.export(
                module, inputs, file, input_names=names, dynamo=False, opset_version=17,
                dynamic_axes=dict(zip(names, axes, strict=True)), verbose=False,
            )  # fmt: skip
            return onnx.load_from_string(file.getvalue())
    finally:
        logging.disable(logging.NOTSET)


def parameters(case: Case, module: nn.Module) -> int:
    """Return the parameters of the exported module.

    A batch norm behind a convolution with a bias becomes part of it.
    """
    norms = [m for n, m in module.named_modules()
             if isinstance(m, nn.BatchNorm2d) and case.kept not in n]  # fmt: skip
    folded = sum(p.numel() for m in norms for p in m.parameters())
    return sum(p.numel() for p in module.parameters()) - folded + sum(case.constants.values())


def macs(module: nn.Module, inputs: tuple[Any, ...]) -> int:
    """Return multiply-accumulates by PyTorch's counter, which counts dense operators only."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*inputs)
    flops = counter.get_total_flops()
    assert flops % 2 == 0
    return int(flops) // 2
