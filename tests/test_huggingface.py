"""A Hugging Face config.json gives the network that its facts describe, or one clear line."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import huggingface_configs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import perfmodel
from perfmodel.catalog import builtin_names, parse_json
from perfmodel.cli import main
from perfmodel.errors import InputError
from perfmodel.graph import Workload
from perfmodel.readers.huggingface import config_document
from perfmodel.readers.huggingface.registry import architectures
from perfmodel.readers.workload_file import workload_from_document

PUBLISHED = huggingface_configs.PUBLISHED
DEVICE = "h100-sxm"
Config = Mapping[str, Any]


def _load(config: Config, name: str = "config.json") -> Workload:
    return workload_from_document(config_document(parse_json(json.dumps(config, indent=2), name)))


def _parameters(config: Config) -> int:
    return _load(config).bind().parameters()  # type: ignore[return-value]


def _published(name: str, **changed: Any) -> dict[str, Any]:
    config = {**copy.deepcopy(PUBLISHED[name][0]), **changed}
    return {k: v for k, v in config.items() if v != "absent"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(name: str) -> None:
    config, parameters = PUBLISHED[name]
    assert _parameters(config) == parameters


def test_every_architecture_has_a_published_network() -> None:
    tested = {config["model_type"] for config, _ in PUBLISHED.values()}
    assert set(architectures()) - tested == {"mt5"}
    mt5 = _published("t5-base", model_type="mt5", d_ff=2048, vocab_size=250112)
    assert _parameters(mt5) == 582_401_280  # google/mt5-base on the hub


BUILTIN = sorted(set(PUBLISHED) & set(builtin_names("workloads")))


@pytest.mark.parametrize("name", BUILTIN)
def test_a_configuration_costs_what_the_built_in_network_costs(name: str) -> None:
    read, builtin = _load(PUBLISHED[name][0]), perfmodel.load_workload(name)
    assert read.phases == builtin.phases
    for phase in builtin.phases:
        sizes = {
            k: v for k, v in builtin.dims(phase).items() if k in ("sequence", "context", "source")
            if isinstance(v, int)
        }  # fmt: skip
        ours, theirs = (
            perfmodel.analyze(w, DEVICE, phase=phase, dtype="fp16", **sizes).totals
            for w in (read, builtin)
        )
        for key in ("parameters", "macs", "flops", "bytes", "time_s", "peak_memory_bytes"):
            assert ours[key] == theirs[key], (phase, key)


def test_a_dozen_built_in_networks_are_compared() -> None:
    assert len(BUILTIN) >= 12


#: what a key changes, and the parameters it adds, derived by hand
SWITCHES = [
    ("llama-2-7b", {"attention_bias": True}, 32 * 4 * 4096),
    ("llama-2-7b", {"mlp_bias": True}, 32 * (2 * 11008 + 4096)),
    ("llama-2-7b", {"tie_word_embeddings": True}, -32000 * 4096),
    ("llama-2-7b", {"head_dim": 64}, -32 * 4 * 4096 * 2048),
    ("llama-2-7b", {"num_key_value_heads": 4}, -32 * 2 * 4096 * 28 * 128),
    ("llama-2-7b", {"num_key_value_heads": "absent"}, 0),
    ("llama-2-7b", {"num_key_value_heads": None}, 0),
    ("llama-2-7b", {"num_hidden_layers": 33}, 4 * 4096**2 + 3 * 4096 * 11008 + 2 * 4096),
    ("mistral-7b", {"num_key_value_heads": "absent"}, 0),  # the class's default is 8
    ("mistral-7b", {"sliding_window": None}, 0),
    ("qwen3-8b", {"attention_bias": True}, 36 * (2 * 4096 + 2 * 1024)),
    ("qwen2-7b", {"use_sliding_window": True, "max_window_layers": 5}, 0),
    ("gemma-2-9b", {"final_logit_softcapping": None}, 0),
    ("gemma-3-1b", {"tie_word_embeddings": False}, 262144 * 1152),
    ("phi-2", {"qk_layernorm": True}, 32 * 4 * 80),
    ("gpt-2", {"n_inner": 1000}, -12 * 2072 * (2 * 768 + 1)),
    ("gpt-neox-20b", {"use_parallel_residual": False}, 0),
    ("gpt-neox-20b", {"attention_bias": False}, -44 * 4 * 6144),
    ("falcon-7b", {"tie_word_embeddings": False}, 65024 * 4544),  # the checkpoint's 7,217,189,760
    ("falcon-40b", {"num_ln_in_parallel_attn": 1}, -60 * 2 * 8192),
    ("opt-125m", {"enable_bias": False}, -12 * (5 * 768 + 3072)),
    ("qwen1.5-moe-a2.7b", {"mlp_only_layers": [0, 5]},
     2 * (3 * 2048 * 5632 - 60 * 3 * 2048 * 1408 - 60 * 2048 - 3 * 2048 * 5632 - 2048)),
    ("qwen3-30b-a3b", {"decoder_sparse_step": 2},
     24 * (3 * 2048 * 6144 - 128 * 3 * 2048 * 768 - 128 * 2048)),
    ("deepseek-v3", {"first_k_dense_replace": 0},
     3 * (257 * 3 * 7168 * 2048 + 256 * 7168 - 3 * 7168 * 18432)),
    ("deepseek-v3", {"q_lora_rank": None},
     61 * (7168 * 128 * 192 - 7168 * 1536 - 1536 * 128 * 192 - 1536)),
    ("deepseek-v3", {"n_shared_experts": None}, -58 * 3 * 7168 * 2048),
    ("deepseek-v3", {"attention_bias": True}, 61 * (1536 + 512 + 64 + 7168)),
    ("deepseek-v3", {"tie_word_embeddings": True}, -129280 * 7168),
    ("bert-base", {"hidden_dropout_prob": 0.0}, 0),
    ("bert-base", {"hidden_act": "relu"}, 0),
    ("vit-b-16", {"qkv_bias": False}, -12 * 3 * 768),
    ("vit-b-16", {"image_size": 384}, (24**2 - 14**2) * 768),
    ("t5-base", {"num_decoder_layers": 2}, -10 * (8 * 768**2 + 2 * 768 * 3072 + 3 * 768)),
    ("t5-base", {"dropout_rate": 0.0}, 0),
    ("whisper-base", {"decoder_ffn_dim": 1024}, -6 * 1024 * (2 * 512 + 1)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "changed", "added"), SWITCHES)
def test_a_key_adds_its_parameters(name: str, changed: Config, added: int) -> None:
    assert _parameters(_published(name, **changed)) == PUBLISHED[name][1] + added


def _macs(config: Config, **settings: Any) -> int:
    return perfmodel.analyze(_load(config), DEVICE, **settings).totals["macs"]  # type: ignore[no-any-return]


def _attention_macs(config: Config, context: int) -> int:
    graph = _load(config).bind({"context": context}, phase="decode")
    nodes = [n for n in graph.nodes if n.op.name == "attention"]
    return sum(int(n.count) * n.algorithms()[0].work.macs for n in nodes)


@pytest.mark.parametrize(
    ("name", "changed", "local"),
    [
        ("mistral-7b", {}, 32),
        ("mistral-7b", {"sliding_window": None}, 0),
        ("mistral-7b", {"sliding_window": "absent"}, 32),
        ("qwen2-7b", {"sliding_window": 4096}, 0),
        ("qwen2-7b", {"sliding_window": 4096, "use_sliding_window": True}, 0),
        ("qwen2-7b", {"sliding_window": 4096, "use_sliding_window": True,
                      "max_window_layers": 5}, 23),
        ("gemma-2-9b", {}, 21),
        ("gemma-2-9b", {"layer_types": ["sliding_attention"] + 41 * ["full_attention"]}, 1),
        ("gemma-3-1b", {"sliding_window": 4096}, 22),
        ("gemma-3-1b", {"sliding_window": 4096, "sliding_window_pattern": 2}, 13),
    ],
)  # fmt: skip
def test_windows_stand_in_the_layers_that_have_them(name: str, changed: Config, local: int) -> None:
    config = _published(name, **changed)
    layers, heads = config["num_hidden_layers"], config["num_attention_heads"]
    width = config.get("head_dim", config["hidden_size"] // heads)
    pairs = local * 4096 + (layers - local) * 10_001
    assert _attention_macs(config, 10_000) == heads * 2 * width * pairs


@pytest.mark.parametrize(
    ("name", "changed", "turned"),
    [
        ("llama-2-7b", {}, 128),
        ("phi-2", {}, 32),
        ("phi-2", {"partial_rotary_factor": "absent"}, 40),
        ("phi-2", {"partial_rotary_factor": "absent",
                   "rope_parameters": {"partial_rotary_factor": 0.4}}, 32),
        ("gpt-neox-20b", {}, 24),
        ("gpt-neox-20b", {"rotary_pct": "absent"}, 24),
        ("gpt-neox-20b", {"rotary_pct": 1.0}, 96),
        ("gpt-j-6b", {"rotary_dim": None}, 256),
        ("gpt-j-6b", {"rotary_dim": "absent"}, 64),
        ("phi-3-mini", {}, 96),
        ("phi-4-mini", {}, 96),
        ("falcon-7b", {}, 64),
        ("falcon-7b", {"alibi": True}, 0),
        ("gpt-2", {}, 0),
    ],
)  # fmt: skip
def test_as_much_of_a_head_turns_as_the_keys_say(name: str, changed: Config, turned: int) -> None:
    nodes = _load(_published(name, **changed)).bind().nodes
    tables = {n.tensors.weight("table").shape[-1] for n in nodes if n.op.name == "rope"}
    assert tables == ({turned} if turned else set())


def test_layers_of_several_kinds_keep_their_order() -> None:
    graph = _load(_published("gemma-3-1b")).bind()
    kinds = [(n.op.window > 0, n.count) for n in graph.nodes if n.op.name == "attention"]  # type: ignore[attr-defined]
    assert kinds == [(True, 20), (False, 4), (True, 2)]


def test_dims_are_batch_sequence_and_context_of_each_phase() -> None:
    workload = _load(_published("llama-2-7b"))
    assert workload.phases == ("prefill", "decode", "training")
    sizes = {
        p: [workload.dims(p)[d] for d in ("batch", "sequence", "context")] for p in workload.phases
    }
    assert sizes == {"prefill": [1, 2048, 0], "decode": [1, 1, 2048], "training": [1, 2048, 0]}
    gpt = _load(_published("gpt-2"))
    assert (gpt.dims("prefill")["sequence"], gpt.dims("decode")["context"]) == (1024, 1023)


def test_sizes_can_be_swept() -> None:
    workload = _load(_published("gemma-2-2b"))
    batches = np.array([1.0, 3.0, 8.0])
    swept = workload.bind({"batch": batches}, phase="decode")
    macs = sum(n.count * n.algorithms()[0].work.macs for n in swept.nodes)
    assert list(macs) == [
        _macs(_published("gemma-2-2b"), phase="decode", batch=int(b)) for b in batches
    ]


@pytest.mark.parametrize(
    ("changed", "precision"),
    [
        ({}, "fp16"),
        ({"torch_dtype": "absent"}, "fp32"),
        ({"torch_dtype": "torch.bfloat16"}, "bf16"),
        ({"torch_dtype": "absent", "dtype": "float32"}, "fp32"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128}},
         "w4g128a16"),
        ({"torch_dtype": "bfloat16",
          "quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 64}},
         "w4g64a16-bf16"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 8, "group_size": 32}},
         "w8g32a16"),
        ({"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}},
         "fp8_e4m3"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 3, "group_size": 128}}, "fp16"),
        ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, "fp16"),
    ],
)  # fmt: skip
def test_the_format_is_that_of_dtype_and_quantization(changed: Config, precision: str) -> None:
    workload = _load(_published("llama-2-7b", **changed))
    assert workload.precision.name == precision
    if "quantization_config" in changed:
        assert "uantiz" in workload.about["notes"]


def test_four_bit_weights_take_half_a_byte_and_their_scales() -> None:
    quantized = {"quant_method": "awq", "bits": 4, "group_size": 128}
    config = _published("llama-2-7b", quantization_config=quantized)
    stored = _load(config).bind().stored()
    learned = sum(float(n * w.bytes) for w, n in stored if w.role == "weight")
    assert learned == 6_738_415_616 * (0.5 + 2 / 128)


def test_the_text_model_of_several_models_is_read_and_noted() -> None:
    text = _published("gemma-3-1b")
    outer = {"model_type": "gemma3", "torch_dtype": "bfloat16", "text_config": text}
    workload = _load(outer)
    assert workload.bind().parameters() == PUBLISHED["gemma-3-1b"][1]
    assert workload.precision.name == "bf16"
    assert workload.about["notes"].startswith("The text model of gemma3 alone")
    # google/gemma-3-4b-pt writes no more than these; the other sizes are the class's.
    short = {
        "model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240,
        "num_hidden_layers": 34, "sliding_window": 1024,
    }  # fmt: skip
    layer = 2560 * 256 * (8 + 4 + 4) + 2048 * 2560 + 3 * 2560 * 10240 + 4 * 2560 + 2 * 256
    expected = 262_208 * 2560 + 34 * layer + 2560
    assert _parameters({"model_type": "gemma3", "text_config": short}) == expected


def test_what_is_left_out_is_noted() -> None:
    for name, words in (
        ("gemma-2-9b", "attn_logit_softcapping"),
        ("bloom-560m", "ALiBi"),
        ("falcon-rw-1b", "ALiBi"),
        ("bert-base", "architectures"),
        ("deepseek-v3", "sigmoids"),
    ):
        assert words in _load(PUBLISHED[name][0]).about["notes"], name
    assert _load(PUBLISHED["llama-2-7b"][0]).about["notes"] is None


def test_a_file_is_analysed_as_any_workload(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**PUBLISHED["llama-2-7b"][0], "_name_or_path": "meta/Llama-2-7b"}))
    flags = ["-H", DEVICE, "--set", "batch=8", "--phase", "decode", "--format", "json"]
    assert main(["analyze", str(file), *flags]) == 0
    read = json.loads(capsys.readouterr().out)
    assert main(["analyze", "llama-2-7b", *flags]) == 0
    builtin = json.loads(capsys.readouterr().out)
    assert read["totals"] == builtin["totals"]
    assert read["workload"]["name"] == "Llama-2-7b"


def test_a_network_takes_its_files_name(tmp_path: Path) -> None:
    file = tmp_path / "my-llama.json"
    file.write_text(json.dumps(PUBLISHED["llama-2-7b"][0]))
    assert perfmodel.load_workload(str(file)).name == "my-llama"
    assert _load(PUBLISHED["llama-2-7b"][0]).name == "llama"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 300) | st.floats() | st.text(max_size=8)
    | st.sampled_from([10**30, 2**31 - 1, "full_attention", "gelu", -(10**9), 1e-9]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=4,
)  # fmt: skip
KEYS = sorted({k for config, _ in PUBLISHED.values() for k in config} | {
    "quantization_config", "torch_dtype", "text_config", "rope_parameters", "layer_types",
    "pooler_act", "n_inner", "attn_logit_softcapping", "use_parallel_residual", "dropout",
    "tie_word_embeddings", "_name_or_path", "mlp_only_layers", "num_ln_in_parallel_attn",
    "head_dim", "sliding_window",
})  # fmt: skip


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    name=st.sampled_from(sorted(PUBLISHED)),
    changes=st.dictionaries(st.sampled_from(KEYS), JSON, max_size=3),
    gone=st.sets(st.sampled_from(KEYS), max_size=2),
    near=st.integers(0, 40),
)
def test_a_damaged_configuration_is_read_or_refused(
    name: str, changes: dict[str, Any], gone: set[str], near: int
) -> None:
    config = _published(name, **changes)
    own = [k for k in config if k != "model_type"]
    # One of the network's own sizes too, so that not every change is of a key it does not read.
    config[own[near % len(own)]] = changes.get("torch_dtype", near)
    message = _refusal({k: v for k, v in config.items() if k not in gone})
    assert message is None or (message.startswith("config.json:") and "\n" not in message)


def _refusal(config: Config) -> str | None:
    """Return the error that reading and binding ``config`` gives, if any."""
    try:
        workload = _load(config)
        for phase in workload.phases[:2]:
            workload.bind(phase=phase).parameters()
    except InputError as error:
        return str(error)
    return None


@settings(max_examples=200, deadline=None)
@given(cut=st.integers(0, 400), put=st.text(max_size=3), drop=st.integers(0, 5))
def test_damaged_text_is_read_or_refused(cut: int, put: str, drop: int) -> None:
    text = json.dumps(PUBLISHED["llama-2-7b"][0], indent=2)
    message = None
    try:
        config_document(parse_json(text[:cut] + put + text[cut + drop :], "config.json"))
    except InputError as error:
        message = str(error)
    assert message is None or ("config.json" in message and "\n" not in message)


@given(JSON)
def test_json_is_read_as_python_reads_it(value: Any) -> None:
    text = json.dumps(value)
    assert json.dumps(parse_json(text, "x").data) == json.dumps(json.loads(text))
