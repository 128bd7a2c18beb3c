"""Recurrent networks and multilayer perceptrons against published parameters, and MACs by hand."""

from itertools import pairwise

import pytest

import perfmodel

DEVICE = "a100-80gb-sxm"


def totals(name: str, phase: str | None = None) -> dict[str, int]:
    return perfmodel.analyze(name, DEVICE, phase=phase).totals


def lstm(inputs: int, hidden: int, biases: int = 1) -> int:
    """Return the parameters of a layer in one direction."""
    return 4 * hidden * (inputs + hidden) + biases * 4 * hidden


def mlp(*sizes: int) -> int:
    """Return the MACs of affine layers between ``sizes`` units."""
    return sum(a * b for a, b in pairwise(sizes))


#: name, exact parameters derived below or by PyTorch, MACs at the default sizes
NETWORKS = [
    ("mnist-mlp", 636_010, 635_200),
    # NVIDIA's MLPerf network on MovieLens 20M: 31,832,577 gradients, the count that gradient
    # compression benchmarks (GRACE) give for it.
    ("ncf", 31_832_577, 256 * 256 + 256 * 128 + 128 * 64 + 128),
    ("wide-and-deep", 90_898_303, mlp(1053, 1024, 1024, 1024, 1024, 1024, 1) + 13),
    # bottom and top layers, and 27 x 27 products of 16
    ("dlrm", 540_677_217, mlp(13, 512, 256, 64, 16) + mlp(367, 512, 256, 1) + 27 * 27 * 16),
    ("slide-amazon-670k", 103_838_219, 128 * 128 * (50 * 18 + 3351)),
    ("lstm-ptb-small", 4_651_600, 20 * (2 * 8 * 200**2 + 200 * 10_000)),
    ("lstm-ptb-medium", 19_775_200, 35 * (2 * 8 * 650**2 + 650 * 10_000)),
    ("lstm-ptb-large", 66_022_000, 35 * (2 * 8 * 1500**2 + 1500 * 10_000)),
    ("gnmt", 159_593_523, 6_351_564_800),
    ("deepspeech2", 86_618_400, 48_571_184_000),
    ("gru-acoustic", 5_419_020, 100 * (3 * 768 * (40 + 3 * 768) + 768 * 12)),
]


@pytest.mark.parametrize(("name", "parameters", "macs"), NETWORKS)
def test_totals(name: str, parameters: int, macs: int) -> None:
    found = totals(name)
    assert (found["parameters"], found["macs"]) == (parameters, macs)


#: name, published figure, its unit
ROUNDED = [
    # Merity et al., arXiv:1609.07843, table 2, for both; 66M in arXiv:1409.2329, section 4.1, too.
    ("lstm-ptb-medium", 20, 1e6),
    ("lstm-ptb-large", 66, 1e6),
    # arXiv:2012.13600, abstract: "5 million parameter 2-layer GRU-RNN".
    ("gru-acoustic", 5, 1e6),
]


@pytest.mark.parametrize(("name", "published", "unit"), ROUNDED)
def test_parameters_round_to_the_published_ones(name: str, published: int, unit: float) -> None:
    assert round(totals(name)["parameters"] / unit) == published


def test_ptb_small_by_hand() -> None:
    # arXiv:1409.2329, section 4.1 and its code: two layers of 200 units, vocabulary of 10,000.
    words = 10_000 * 200
    assert totals("lstm-ptb-small")["parameters"] == words + 2 * lstm(200, 200) + words + 10_000


def test_ncf_by_hand() -> None:
    # MLPerf training v0.5, recommendation/pytorch: 138,493 users and 26,744 items of ml-20m.
    embeddings = (138_493 + 26_744) * (64 + 128)
    layers = mlp(256, 256, 128, 64) + 256 + 128 + 64 + 128 + 1
    assert totals("ncf")["parameters"] == embeddings + layers


def test_wide_and_deep_by_hand() -> None:
    # NVIDIA DeepLearningExamples, TensorFlow2 WideAndDeep, data/outbrain/features.py
    # at d58ccd7: rows and width of 13 columns' embeddings, and 13 numeric columns.
    tables = [(300_000, 128), (250_000, 128), (100_000, 128), (4000, 64), (4000, 64), (2500, 64),
              (2500, 64), (2000, 64), (1000, 64), (1000, 64), (300, 64), (4, 16),
              (5000, 128)]  # fmt: skip
    width = sum(w for _, w in tables) + 13
    deep = sum(rows * w for rows, w in tables) + mlp(width, *5 * [1024], 1) + 5 * 1024 + 1
    wide = sum(rows for rows, _ in tables) + 13 + 1
    assert width == 1053
    assert totals("wide-and-deep")["parameters"] == deep + wide


def test_dlrm_by_hand() -> None:
    # The implementation's Criteo Kaggle run: rows of the 26 tables.
    rows = [1460, 583, 10_131_227, 2_202_608, 305, 24, 12_517, 633, 3, 93_145, 5683, 8_351_593,
            3194, 27, 14_992, 5_461_306, 10, 5652, 2173, 4, 7_046_547, 18, 15, 286_181, 105,
            142_572]  # fmt: skip
    bottom = mlp(13, 512, 256, 64, 16) + 512 + 256 + 64 + 16
    top = mlp(16 + 27 * 26 // 2, 512, 256, 1) + 512 + 256 + 1
    derived = 16 * sum(rows) + bottom + top
    assert totals("dlrm")["parameters"] == derived
    # arXiv:1906.00091, section 5: about 540M.
    assert derived == pytest.approx(540e6, rel=2e-3)


def test_slide_by_hand() -> None:
    # Chen et al., arXiv:1903.03129, section 5: 103 million, weights without biases.
    weights = (135_909 + 670_091) * 128
    assert round(weights / 1e6) == 103
    assert totals("slide-amazon-670k")["parameters"] == weights + 128 + 670_091
    # Dense, the output layer alone would take 128 x 670,091 MACs a sample.
    assert totals("slide-amazon-670k")["macs"] < 128 * 128 * 670_091 / 100


def test_gnmt_by_hand() -> None:
    # MLPerf training rnn_translator and NVIDIA DeepLearningExamples GNMT: one embedding for both
    # languages, layers 1 (both directions) + 3 and 4, normalized Bahdanau attention.
    # With the 31,794 tokens of its preprocessed WMT16: 159,593,523, as its training logs state.
    h, words, source, target = 1024, 31_794, 50, 50
    encoder = 2 * lstm(h, h, 2) + lstm(2 * h, h, 2) + 2 * lstm(h, h, 2)
    attention = 2 * h * h + h + h + 1  # of queries and keys, v, b, scale
    decoder = lstm(h, h, 2) + 3 * lstm(2 * h, h, 2)
    classifier = h * words + words
    assert totals("gnmt")["parameters"] == words * h + encoder + attention + decoder + classifier
    lstm_macs = source * (2 * 8 + 12 + 2 * 8) * h * h + target * (8 + 3 * 12) * h * h
    attention_macs = (source + target) * h * h + 2 * source * target * h
    assert totals("gnmt")["macs"] == lstm_macs + attention_macs + target * h * words


def test_deepspeech2_by_hand() -> None:
    # deepspeech.pytorch, BiDirectionalConfig: the same layers built in PyTorch have 86,618,400.
    features, h = 32 * 41, 1024
    convolutions = 32 * 41 * 11 + 32 * 32 * 21 * 11 + 2 * 32 + 2 * 64
    layers = 2 * lstm(features, h, 2) + 4 * (2 * lstm(h, h, 2) + 2 * h)
    assert totals("deepspeech2")["parameters"] == convolutions + layers + 2 * h + 29 * h
    steps = 500
    convolution_macs = steps * (81 * 32 * 41 * 11 + 41 * 32 * 32 * 21 * 11)
    recurrent_macs = steps * 2 * 4 * h * (features + h + 4 * 2 * h)
    assert totals("deepspeech2")["macs"] == convolution_macs + recurrent_macs + steps * 29 * h


@pytest.mark.parametrize("name", [row[0] for row in NETWORKS])
def test_training_takes_two_to_three_forward_passes(name: str) -> None:
    # The first layer passes no gradient on, and the hash of SLIDE has none.
    forward, training = totals(name), totals(name, "training")
    assert 2 < training["macs"] / forward["macs"] <= 3
    assert training["parameters"] == forward["parameters"]
