"""Networks of every family: parameters and MACs are PyTorch's, and convert gives them back."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

import perfmodel
from perfmodel.readers.convert import as_yaml

torch = pytest.importorskip("torch")
zoo = pytest.importorskip("zoo")

pytestmark = pytest.mark.filterwarnings("ignore")


@cache
def module_of(name: str) -> Any:
    torch.manual_seed(0)
    if name in ("bert", "gpt2"):
        pytest.importorskip("transformers")
    return zoo.CASES[name].module().eval()


@cache
def workload_of(name: str) -> Any:
    # Other exports of the same process leave a state in which branches cannot be exported.
    torch.compiler.reset()
    case = zoo.CASES[name]
    kwargs, inputs = {}, case.inputs(3)
    if isinstance(case.open, dict):
        kwargs, inputs = dict(zip(case.open, inputs, strict=True)), ()
    return perfmodel.from_torch(module_of(name), inputs, case.open, kwargs, name=name)


def pytorch_macs(name: str, batch: int) -> int:
    """Return the flop counter's MACs of a run; kernels that it does not see inside are split."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    with (
        torch.no_grad(),
        torch.backends.mkldnn.flags(enabled=False),
        sdpa_kernel(SDPBackend.MATH),
        counter,
    ):
        module_of(name)(*zoo.CASES[name].inputs(batch))
    torch.backends.mha.set_fastpath_enabled(fast)
    return int(counter.get_total_flops()) // 2


@pytest.mark.parametrize("name", zoo.CASES)
def test_parameters_are_the_modules(name: str) -> None:
    own = {id(p): p.numel() for p in module_of(name).parameters()}
    expected = sum(own.values()) + zoo.CASES[name].quantized
    assert workload_of(name).bind().parameters() == expected


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("name", zoo.CASES)
def test_macs_are_those_of_pytorchs_flop_counter(name: str, batch: int) -> None:
    found = perfmodel.analyze(workload_of(name), "h100-sxm", batch=batch).totals["macs"]
    assert found == pytorch_macs(name, batch) - zoo.CASES[name].hidden(batch)


@pytest.mark.parametrize("name", zoo.CASES)
def test_no_operator_is_misfit_or_unknown(name: str) -> None:
    result = perfmodel.analyze(workload_of(name), "h100-sxm", batch=2)
    assert result.totals["unmodelled"] == []
    notes = [n for n in result.data["coverage"]["notes"] if "bytes only" in n]
    assert notes == []


@pytest.mark.parametrize("name", zoo.CASES)
def test_a_converted_network_analyses_to_the_same_numbers(name: str, tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(as_yaml(workload_of(name), {}))
    for batch in (1, 5):
        direct = perfmodel.analyze(workload_of(name), "h100-sxm", batch=batch).totals
        converted = perfmodel.analyze(str(file), "h100-sxm", batch=batch).totals
        for key in ("parameters", "macs", "flops", "bytes", "peak_memory_bytes"):
            assert direct[key] == converted[key], key
        assert direct["time_s"] == pytest.approx(converted["time_s"], rel=1e-9)
