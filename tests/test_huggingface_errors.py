"""A config.json that is wrong: one clear line with the key and its place, exit code 2."""

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_configs import PUBLISHED

from perfmodel.cli import main
from perfmodel.readers.huggingface.registry import architectures


def _message(text: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    file = folder / "config.json"
    file.write_text(text)
    assert main(["analyze", str(file), "-H", "h100-sxm"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    return captured.err.replace(str(file), "config.json")


FACTS = [
    ("llama-2-7b", {"hidden_size": "abc"}, "hidden_size: found 'abc', expected a whole number"),
    ("llama-2-7b", {"hidden_size": -4}, "hidden_size: found -4, expected 1 to"),
    ("llama-2-7b", {"hidden_size": 1e30}, "hidden_size: found 1e+30, expected a whole number"),
    ("llama-2-7b", {"hidden_size": 10**30}, "expected 1 to 2,147,483,647"),
    ("llama-2-7b", {"hidden_size": 4096.0}, "hidden_size: found 4096.0, expected a whole number"),
    ("llama-2-7b", {"hidden_size": True}, "hidden_size: found True, expected a whole number"),
    ("llama-2-7b", {"hidden_size": None}, "missing key 'hidden_size'"),
    ("llama-2-7b", {"hidden_size": "absent"}, "config.json:1:1: missing key 'hidden_size'"),
    ("llama-2-7b", {"num_hidden_layers": 0}, "num_hidden_layers: found 0, expected 1 to 10,000"),
    ("llama-2-7b", {"num_hidden_layers": 10**9}, "expected 1 to 10,000"),
    ("llama-2-7b", {"num_attention_heads": 31}, "no multiple of num_attention_heads 31"),
    ("llama-2-7b", {"num_key_value_heads": 5}, "no multiple of key and value heads 5"),
    ("llama-2-7b", {"head_dim": 3}, "heads of 3 columns, expected an even number"),
    ("llama-2-7b", {"hidden_act": "silo"}, "hidden_act: found 'silo', expected a text that is known; did you mean 'silu'"),
    ("llama-2-7b", {"torch_dtype": "int3"}, "torch_dtype: found 'int3', expected one of"),
    ("llama-2-7b", {"tie_word_embeddings": "yes"}, "found 'yes', expected true or false"),
    ("llama-2-7b", {"quantization_config": "awq"}, "expected an object of keys and values"),
    ("llama-2-7b", {"model_type": "lama"}, "unknown model_type 'lama'; did you mean 'llama'"),
    ("llama-2-7b", {"model_type": 3}, "model_type: found 3, expected a text"),
    ("llama-2-7b", {"model_type": "absent"}, "missing key 'model_type', expected a Hugging Face config.json"),
    ("mixtral-8x7b", {"num_experts_per_tok": 9}, "num_experts_per_tok 9 is over the 8 experts"),
    ("mixtral-8x7b", {"hidden_act": "gelu"}, "hidden_act: found 'gelu', expected 'silu', the only variant"),
    ("gemma-2-9b", {"layer_types": ["full_attention"]}, "expected a list of 42, one a layer"),
    ("gemma-2-9b", {"layer_types": 42 * ["linear"]}, "found 'linear', expected one of full_attention"),
    ("phi-2", {"partial_rotary_factor": 7}, "partial_rotary_factor: found 7, expected a number from 0"),
    ("gpt-2", {"resid_pdrop": 1}, "resid_pdrop: found 1, expected a rate under 1"),
    ("gpt-2", {"n_embd": 770}, "n_embd 770 is no multiple of n_head 12"),
    ("opt-125m", {"layer_norm_elementwise_affine": False}, "found False, expected True, the only"),
    ("falcon-40b", {"parallel_attn": False}, "parallel_attn: found False beside new_decoder_arch"),
    ("bert-base", {"is_decoder": True}, "is_decoder: found True, expected False, the only variant"),
    ("t5-base", {"feed_forward_proj": "gated"}, "feed_forward_proj: found 'gated'"),
    ("vit-b-16", {"image_size": [224, 224]}, "image_size: found [224, 224], expected a whole"),
    ("vit-b-16", {"patch_size": 15}, "image_size 224 is no multiple of patch_size 15"),
    ("deepseek-v3", {"qk_rope_head_dim": 63}, "qk_rope_head_dim: found 63, expected an even number"),
    ("deepseek-v3", {"moe_layer_freq": 2}, "moe_layer_freq: found 2, expected 1, the only variant"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "changed", "expected"), FACTS)
def test_a_wrong_key_is_named_with_its_place(
    name: str,
    changed: dict[str, Any],
    expected: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = {k: v for k, v in {**PUBLISHED[name][0], **changed}.items() if v != "absent"}
    text = json.dumps(config, indent=2)
    message = _message(text, tmp_path, capsys)
    assert expected in message
    (key,) = changed
    lines = [i for i, line in enumerate(text.splitlines(), 1) if line.startswith(f'  "{key}": ')]
    missing = config.get(key) is None or "no multiple" in message
    assert missing or message.startswith(f"error: config.json:{lines[0]}:{len(key) + 7}: ")


FILES = {
    "empty": ("", "is empty, expected a JSON object"),
    "no object": ("[1, 2]", "1:1: found a value that is no object"),
    "duplicate key": ('{"a": 1,\n "a": 2}', "2:2: found duplicate key 'a', expected each key once (first at line 1, column 2)"),
    "no value": ('{"a": 1,\n "b": }', "2:7: found '}', expected a JSON value"),
    "trailing comma": ('{"a": 1,}', "1:9: found '}', expected a key in"),
    "no comma": ('{"a": 1 "b": 2}', "1:9: found '\"b\": 2}', expected ',' or '}'"),
    "no colon": ('{"a" 1}', "1:6: found '1}', expected ':' after the key 'a'"),
    "cut off": ('{"a": [1', "1:9: found the end, expected ',' or ']'"),
    "open text": ('{"a": "x', "1:7: not JSON: Unterminated string"),
    "two values": ('{"a": 1} x', "1:10: found more text after the value"),
    "single quotes": ("{'a': 1}", "expected a key in"),
    "a word": ('{"a": True}', "1:7: found 'True}', expected a JSON value"),
    "too deep": (100 * '{"a":' + "1" + 100 * "}", "found nesting, expected at most 40 levels"),
    "long number": ('{"a": ' + 5000 * "1" + "}", "a number of 5000 digits"),
    "too long": (" " * (5 * 2**20), "expected a JSON file of at most"),
    "an analysis": ('{"schema": "perfmodel/analysis@1"}', "1:12: found a file of schema 'perfmodel/analysis@1', expected a Hugging Face config.json"),
    "another file of the hub": ('{"bos_token_id": 1}', "missing key 'model_type'"),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_no_configuration_is_refused(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, expected = FILES[case]
    assert expected in _message(text, tmp_path, capsys)


def test_an_unknown_model_type_lists_those_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for config in ({"model_type": "zz"}, {"model_type": "zz", "text_config": {"model_type": "y"}}):
        message = _message(json.dumps(config), tmp_path, capsys)
        assert "unknown model_type 'zz'" in message
        assert all(name in message for name in architectures())


def test_a_wrong_key_of_the_text_model_is_placed_inside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = {**PUBLISHED["mistral-7b"][0], "vocab_size": "many"}
    config = {"model_type": "mistral3", "text_config": text}
    message = _message(json.dumps(config, indent=1), tmp_path, capsys)
    assert "vocab_size: found 'many'" in message
    assert not message.startswith("error: config.json:1:1")
    del config["text_config"]["vocab_size"]  # type: ignore[index]
    missing = _message(json.dumps(config), tmp_path, capsys)
    assert "missing key 'text_config.vocab_size'" in missing


def test_a_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyze", "nowhere.json", "-H", "h100-sxm"]) == 2
    assert "no such file: 'nowhere.json'" in capsys.readouterr().err
