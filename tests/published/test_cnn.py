"""Convolutional networks against published parameters and MACs.

The exact MACs are those of the convolutions and affine layers of the original
implementation, each counted from its output and weight shapes in PyTorch by a
script apart from this package; published figures round them.
"""

import pytest

import perfmodel

DEVICE = "a100-80gb-sxm"

#: name, parameters, MACs, and the "GFLOPS" (its word for GMAC) of torchvision's weights tables,
#: torchvision.models.<Network>_Weights.IMAGENET1K_V1, which state the parameters too
TORCHVISION = [
    ("alexnet", 61_100_840, 714_188_480, "0.714"),
    ("vgg16", 138_357_544, 15_470_264_320, "15.470"),
    ("vgg19", 143_667_240, 19_632_062_464, "19.632"),
    # googlenet(): aux_logits is dropped from the pretrained network; 6,624,904 is without.
    ("googlenet", 6_624_904, 1_498_376_192, "1.498"),
    # The table's 27,161,264 holds the auxiliary classifier, which inference does not run:
    # see test_inception_v3_leaves_out_the_auxiliary_classifier.
    ("inception-v3", 23_834_568, 5_713_216_096, "5.713"),
    ("resnet18", 11_689_512, 1_814_073_344, "1.814"),
    ("resnet50", 25_557_032, 4_089_184_256, "4.089"),
    ("resnet101", 44_549_160, 7_801_405_440, "7.801"),
    ("resnet152", 60_192_808, 11_513_626_624, "11.514"),
    ("resnext50-32x4d", 25_028_904, 4_230_479_872, "4.230"),
    ("wide-resnet50-2", 68_883_240, 11_398_021_120, "11.398"),
    ("densenet121", 7_978_856, 2_834_161_664, "2.834"),
    ("squeezenet1.1", 1_235_496, 349_151_936, "0.349"),
    ("mobilenet-v2", 3_504_872, 300_774_272, "0.301"),
    ("mobilenet-v3-large", 5_483_032, 216_589_760, "0.217"),
    ("shufflenet-v2", 2_278_604, 144_907_992, "0.145"),
    ("efficientnet-b0", 5_288_548, 385_814_752, "0.386"),
    ("mnasnet", 4_383_312, 314_415_872, "0.314"),
]

#: name, parameters, MACs; the tests below derive them
OTHERS = [
    ("lenet", 61_706, 416_520),
    ("zfnet", 62_357_608, 1_168_032_896),
    ("mobilenet-v1", 4_231_976, 568_740_352),
    ("convnext-tiny", 28_589_128, 4_455_531_264),
    ("unet", 31_030_658, 150_428_424_448),
    ("ssd-resnet34", 19_972_534, 216_415_931_904),
    ("yolov8n", 3_157_200, 4_371_993_600),
]

NAMES = [row[0] for row in (*TORCHVISION, *OTHERS)]


def outputs(name: str) -> dict[str, list[int]]:
    """Return the shape that each node of a network makes."""
    rows = perfmodel.analyze(name, DEVICE).operators
    return {row["name"]: row["output_shapes"][0] for row in rows}


@pytest.mark.parametrize(("name", "parameters", "macs", "published"), TORCHVISION)
def test_totals_are_those_of_torchvisions_tables(
    name: str, parameters: int, macs: int, published: str
) -> None:
    totals = perfmodel.analyze(name, DEVICE).totals
    assert totals["parameters"] == parameters
    assert totals["macs"] == macs
    assert f"{macs / 1e9:.3f}" == published


@pytest.mark.parametrize(("name", "parameters", "macs"), OTHERS)
def test_totals_are_the_derived_ones(name: str, parameters: int, macs: int) -> None:
    totals = perfmodel.analyze(name, DEVICE).totals
    assert totals["parameters"] == parameters
    assert totals["macs"] == macs


#: parameters that only training has: torchvision's googlenet with its auxiliary classifiers has
#: 13,004,888; the places of YOLO's 16 bins lie behind its predictions
TRAINING_ONLY = {"googlenet": 13_004_888 - 6_624_904, "yolov8n": -16}


@pytest.mark.parametrize("name", NAMES)
def test_training_does_each_mac_again_for_inputs_and_for_weights(name: str) -> None:
    # Forward, gradient of the input, gradient of the weight; the first layer's input needs none.
    parameters = perfmodel.analyze(name, DEVICE).totals["parameters"]
    step = perfmodel.analyze(name, DEVICE, phase="training")
    forward = [row["count"] * row["macs"] for row in step.operators if row["phase"] == "forward"]
    first = next(macs for macs in forward if macs)
    assert step.totals["macs"] == 3 * sum(forward) - first
    assert step.totals["parameters"] == parameters + TRAINING_ONLY.get(name, 0)


def test_lenet_is_the_papers_but_for_three_layers() -> None:
    # LeCun et al. 1998, section II.B: 60,000 trainable parameters and 340,908 connections.
    c1, s2, c3, s4, c5, f6 = 156, 12, 1516, 32, 48_120, 10_164
    assert c1 + s2 + c3 + s4 + c5 + f6 == 60_000
    # Now: C3 connected in full, S2 and S4 without parameters, the output learned.
    full_c3, output = 16 * (6 * 25 + 1), 10 * (84 + 1)
    assert c1 + full_c3 + c5 + f6 + output == 61_706
    # Connections count biases, and S2 and S4: (4 + 1) a value; the output's has no bias.
    connections = {"C1": 122_304, "S2": 5880, "C3": 151_600, "S4": 2000, "C5": 48_120, "F6": 10_164}
    assert sum(connections.values()) + 840 == 340_908
    biases = 6 * 28 * 28 + 16 * 10 * 10 + 120 + 84
    dense = sum(connections[layer] for layer in ("C1", "C3", "C5", "F6")) + 840 - biases
    more_c3 = (16 * 6 - 60) * 25 * 10 * 10
    assert dense + more_c3 == 416_520


def test_zfnet_has_its_papers_sizes() -> None:
    # arXiv:1311.2901, figure 3: 110, 55, 26, 13, 13, 13, 13, 6. No total is published there; the
    # book "Computational analysis and deep learning for medical care" (Wiley 2021), table 1.4, has
    # each layer's parameters and 62,357,608 in all.
    shapes = outputs("zfnet")
    sides = ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5")
    assert [shapes[layer][-1] for layer in sides] == [110, 55, 26, 13, 13, 13, 13, 6]
    convolutions = {
        "conv1": (96, 3 * 49, 110),
        "conv2": (256, 96 * 25, 26),
        "conv3": (384, 256 * 9, 13),
        "conv4": (384, 384 * 9, 13),
        "conv5": (256, 384 * 9, 13),
    }
    parameters = [k * (taps + 1) for k, taps, _ in convolutions.values()]
    assert parameters == [14_208, 614_656, 885_120, 1_327_488, 884_992]
    affine = [4096 * (9216 + 1), 4096 * (4096 + 1), 1000 * (4096 + 1)]
    assert affine == [37_752_832, 16_781_312, 4_097_000]
    assert sum(parameters) + sum(affine) == 62_357_608
    macs = sum(k * taps * side**2 for k, taps, side in convolutions.values())
    assert macs + 4096 * 9216 + 4096 * 4096 + 1000 * 4096 == 1_168_032_896


def test_mobilenet_v1_is_slims() -> None:
    # tensorflow/models, slim/nets/mobilenet_v1.py, table of the 100% network at 224x224:
    # 3,185,088 parameters and 567,716,352 MACs up to the pooling, convolutions alone.
    # mobilenet_v1.md: 569 million MACs, and 4.24 million parameters, 0.2 % over those here.
    weights, macs = 3_185_088, 567_716_352
    normalized = 32 + 32 + 64 + 64 + 128 + 128 + 128 + 128 + 256 + 256 + 256 + 256 + 512
    normalized += 5 * (512 + 512) + 512 + 1024 + 1024 + 1024
    last = 1000 * (1024 + 1)
    # Keras says 4,231,976 trainable and, with running means and variances, 4,253,864 in all.
    assert weights + 2 * normalized + last == 4_231_976
    assert weights + 4 * normalized + last == 4_253_864
    # Open Model Zoo's mobilenet-v1-1.0-224, normalization folded into biases: 4.221 M.
    assert f"{(weights + normalized + last) / 1e6:.3f}" == "4.221"
    assert macs + 1000 * 1024 == 568_740_352
    assert round((macs + 1000 * 1024) / 1e6) == 569


def test_inception_v3_leaves_out_the_auxiliary_classifier() -> None:
    # torchvision's table: 27,161,264 with it. Two convolutions with normalization, one affine.
    auxiliary = 768 * 128 + 2 * 128 + 128 * 768 * 25 + 2 * 768 + 1000 * (768 + 1)
    assert 27_161_264 - auxiliary == 23_834_568


def test_convnext_tiny_rounds_to_its_published_macs() -> None:
    # torchvision's convnext_tiny weights table: 28,589,128 parameters, 4.456 GFLOPS, the blocks'
    # factors for each channel left out.
    result = perfmodel.analyze("convnext-tiny", DEVICE)
    assert f"{result.totals['macs'] / 1e9:.3f}" == "4.456"
    scales = [row for row in result.operators if row["op"] == "scale"]
    assert sum(row["count"] for row in scales) == 18
    assert not any(row["macs"] for row in scales)


def test_unet_is_the_papers() -> None:
    # arXiv:1505.04597, figure 1. 31,030,658 parameters is what implementations of it report, such
    # as tf_unet (5 layers, 64 features); the MACs are derived here, none are published.
    parameters = macs = 0

    def convolution(inputs: int, filters: int, taps: int, positions: int) -> None:
        nonlocal parameters, macs
        parameters += filters * (inputs * taps + 1)
        macs += filters * inputs * taps * positions

    side, channels = 572, 1
    for features in (64, 128, 256, 512, 1024):
        for inputs in (channels, features):
            side -= 2
            convolution(inputs, features, 9, side**2)
        channels = features
        side //= 2
    side = 28
    for features in (512, 256, 128, 64):
        # Each value makes 2x2 of the next size.
        convolution(2 * features, features, 4, side**2)
        side *= 2
        for inputs in (2 * features, features):
            side -= 2
            convolution(inputs, features, 9, side**2)
    convolution(64, 2, 1, side**2)
    assert side == 388
    assert (parameters, macs) == (31_030_658, 150_428_424_448)
    assert outputs("unet")["output"] == [1, 2, 388, 388]


def test_ssd_resnet34_is_mlperfs() -> None:
    # Open Model Zoo's ssd-resnet34-1200-onnx, made from MLPerf's: 20.058 MParams, 433.411 GFLOPs.
    # Its parameters have normalization folded into biases, and six constants a box to decode it.
    normalized = 64 + 6 * 64 + (8 + 1) * 128 + (12 + 1) * 256
    boxes = 4 * 50**2 + 6 * (25**2 + 13**2 + 7**2) + 4 * (3**2 + 3**2)
    assert boxes == 15_130
    assert f"{(19_972_534 - normalized + 6 * boxes) / 1e6:.3f}" == "20.058"
    # Its operations are two a MAC and those of biases, activations, additions and pooling.
    totals = perfmodel.analyze("ssd-resnet34", DEVICE).totals
    assert 0.998 < 2 * 216_415_931_904 / 433.411e9 < 1
    assert totals["flops"] == pytest.approx(433.411e9, rel=0.0005)
    assert outputs("ssd-resnet34")["predictions"] == [1, 4 + 81, 15_130]


def test_yolov8n_is_ultralyticss() -> None:
    # ultralytics/cfg/models/v8/yolov8.yaml: "YOLOv8n summary: 225 layers, 3157200 parameters,
    # 3157184 gradients"; 16 weights, the places of the bins, are fixed. With normalization folded
    # into biases 3,151,904 parameters and 8.7 GFLOPs (two a MAC).
    result = perfmodel.analyze("yolov8n", DEVICE)
    normalized = sum(
        row["output_shapes"][0][1] * row["count"]
        for row in result.operators
        if row["op"] == "batch_norm"
    )
    assert result.totals["parameters"] - normalized == 3_151_904
    assert f"{2 * result.totals['macs'] / 1e9:.1f}" == "8.7"
    assert outputs("yolov8n")["predictions"] == [1, 64 + 80, 80**2 + 40**2 + 20**2]


@pytest.mark.parametrize(
    ("name", "node", "shape"),
    [
        # arXiv:1409.4842, table 1, and arXiv:1512.00567, table 1
        ("googlenet", "inception5b.concat", [1, 1024, 7, 7]),
        ("inception-v3", "Mixed_7c.concat", [1, 2048, 8, 8]),
        # arXiv:1608.06993, table 1; arXiv:1602.07360, table 1
        ("densenet121", "norm5", [1, 1024, 7, 7]),
        ("squeezenet1.1", "fire9.concat", [1, 512, 13, 13]),
        # arXiv:1704.04861, table 1; 1801.04381, table 2; 1905.02244, table 1
        ("mobilenet-v1", "conv13.pointwise_relu", [1, 1024, 7, 7]),
        ("mobilenet-v2", "conv8_relu", [1, 1280, 7, 7]),
        ("mobilenet-v3-large", "conv16_hs", [1, 960, 7, 7]),
        # arXiv:1807.11164, table 5; 1905.11946, table 1; 2201.03545, table 9
        ("shufflenet-v2", "relu5", [1, 1024, 7, 7]),
        ("efficientnet-b0", "conv8_silu", [1, 1280, 7, 7]),
        ("convnext-tiny", "stage4.add", [1, 7, 7, 768]),
    ],
)
def test_the_last_feature_map_has_the_papers_size(name: str, node: str, shape: list[int]) -> None:
    assert outputs(name)[node] == shape


@pytest.mark.parametrize("name", NAMES)
def test_macs_are_proportional_to_batch(name: str) -> None:
    one, three = (perfmodel.analyze(name, DEVICE, batch=b).totals for b in (1, 3))
    assert three["macs"] == 3 * one["macs"]
    assert three["parameters"] == one["parameters"]
