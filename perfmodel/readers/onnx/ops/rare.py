"""Operators of which only the bytes are counted: random numbers, texts, classical learners."""

from __future__ import annotations

from perfmodel.core import Dim
from perfmodel.core.dims import product
from perfmodel.errors import InputError
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.formats import FORMAT_OF
from perfmodel.readers.onnx.handlers import Made, handles
from perfmodel.readers.tracing.values import Value

ML = "ai.onnx.ml"


def _dtype(call: Call, default: str) -> str:
    return FORMAT_OF.get(call.attr("dtype", 0), default)


@handles("RandomNormal", "RandomUniform", treatment="bounded")
def random(call: Call) -> Made:
    """Random numbers of a given shape."""
    return call.opaque(call.attr("shape"), formats=[_dtype(call, "fp32")])


@handles("RandomNormalLike", "RandomUniformLike", "Bernoulli", treatment="bounded")
def random_like(call: Call) -> Made:
    """Random numbers, as many as another tensor has."""
    x = call.input(0)
    return call.opaque(x.shape, formats=[_dtype(call, x.dtype)])


@handles("Multinomial", treatment="bounded")
def multinomial(call: Call) -> Made:
    """Samples of classes."""
    x = call.input(0)
    shape = (x.shape[0], call.attr("sample_size", 1))
    return call.opaque(shape, formats=[_dtype(call, "int32")])


@handles("Det", treatment="bounded")
def determinant(call: Call) -> Made:
    """The determinant of each matrix."""
    return call.opaque(call.input(0).shape[:-2])


@handles("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")
def loss(call: Call) -> Made:
    """Minus the logarithm of the right class's probability, averaged or not."""
    x, target = call.input(0), call.input(1)
    scores = x
    made: list[Value] = []
    if call.op == "SoftmaxCrossEntropyLoss":
        flat = call.view(x, (x.elements // x.shape[1], x.shape[1]))
        (logs,) = call.emit("log_softmax", flat, suffix=".logs")
        scores = call.view(logs, x.shape)
    (each,) = call.opaque(target.shape, formats=[x.dtype])
    if call.attr("reduction", "mean") == "none":
        made.append(each)
    else:
        flat = call.view(each, (target.elements,))
        made += call.emit("reduce_sum", flat, axes=(0,), keep=False, suffix=".sum")
    return [*made, scores]


@handles("StringNormalizer", "StringConcat", "RegexFullMatch", treatment="bounded")
def texts(call: Call) -> Made:
    """Texts in, texts or truth values out."""
    x = call.input(0)
    dtype = "bool" if call.op == "RegexFullMatch" else x.dtype
    value = call.opaque(x.shape, formats=[dtype])[0]
    value.bound = call.op == "StringNormalizer"
    return value


@handles("StringSplit", treatment="bounded")
def string_split(call: Call) -> Made:
    """Texts cut into pieces: as many as there are, one is taken."""
    x = call.input(0)
    call.net.note("StringSplit makes as many pieces as it finds: one is taken")
    made = call.opaque((*x.shape, 1), x.shape, formats=["int64", "int64"])
    made[0].bound = True
    return made


@handles("TfIdfVectorizer", treatment="bounded")
def tf_idf(call: Call) -> Made:
    """Weights of word groups."""
    x = call.input(0)
    width = max([int(i) for i in call.attr("ngram_indexes", [0])], default=0) + 1
    return call.opaque((*x.shape[:-1], width), formats=["fp32"])


@handles("ImageDecoder", treatment="bounded")
def image_decoder(call: Call) -> Made:
    """Pixels of a compressed image, whose size is in the file."""
    call.net.note("ImageDecoder's image has the size that the file says: 224x224 is taken")
    (image,) = call.opaque((224, 224, 3), formats=["int8"])
    image.bound = True
    return image


@handles(
    "TreeEnsembleClassifier", "SVMClassifier", "LinearClassifier", "TreeEnsembleRegressor",
    "SVMRegressor", "LinearRegressor", "TreeEnsemble", domain=ML, treatment="bounded",
)  # fmt: skip
def learner(call: Call) -> Made:
    """A class and its scores for each row, or values."""
    x = call.input(0)
    rows: Dim = x.shape[0] if x.rank else 1
    labels = call.attr("classlabels_int64s") or call.attr("classlabels_ints") \
        or call.attr("classlabels_strings") or []  # fmt: skip
    width = len(labels) or int(call.attr("n_targets", 1) or 1)
    if "Classifier" in call.op:
        return call.opaque((rows,), (rows, width), formats=["int64", "fp32"])
    return call.opaque((rows, width), formats=["fp32"])


@handles("Scaler", "Normalizer", "Imputer", "Binarizer", domain=ML, treatment="bounded")
def preparer(call: Call) -> Made:
    """Values in, values out."""
    return call.opaque(call.input(0).shape, formats=["fp32"])


@handles("LabelEncoder", "CategoryMapper", domain=ML, treatment="bounded")
def encoder(call: Call) -> Made:
    """One label for another."""
    return call.opaque(call.input(0).shape, formats=["int64"])


@handles("OneHotEncoder", domain=ML, treatment="bounded")
def one_hot_encoder(call: Call) -> Made:
    """One at each label's place."""
    x = call.input(0)
    labels = call.attr("cats_int64s") or call.attr("cats_strings") or [0]
    return call.opaque((*x.shape, len(labels)), formats=["fp32"])


@handles("ArrayFeatureExtractor", domain=ML, treatment="bounded")
def extractor(call: Call) -> Made:
    """Columns chosen by index."""
    x, places = call.input(0), call.input(1)
    return call.opaque((*x.shape[:-1], places.elements), formats=[x.dtype])


@handles("FeatureVectorizer", domain=ML, treatment="bounded")
def vectorizer(call: Call) -> Made:
    """Columns of several tensors as one."""
    values = [v for v in call.inputs if v is not None]
    columns = sum(product(v.shape[1:]) for v in values)
    return call.opaque((values[0].shape[0], columns), formats=["fp32"])


@handles("ZipMap", domain=ML, treatment="free")
def zip_map(call: Call) -> Made:
    """Scores with their labels: the same numbers."""
    return call.input(0)


@handles("CastMap", "DictVectorizer", domain=ML, treatment="bounded")
def from_map(call: Call) -> Made:
    """Numbers of a map of keys, in a row: as many as there are keys, or one."""
    columns = len(call.attr("string_vocabulary") or call.attr("int64_vocabulary") or [0])
    return call.opaque((1, int(call.attr("max_map", 0) or columns)), formats=["fp32"])


#: operators of the first versions, which ONNX has dropped: (vector, special) an element
_DROPPED = {"Affine": (2, 0), "ImageScaler": (2, 0), "ParametricSoftplus": (2, 2), "Scale": (1, 0),
            "ScaledTanh": (2, 1)}  # fmt: skip


@handles(*_DROPPED)
def dropped(call: Call) -> Made:
    """One value in, one out."""
    vector, special = _DROPPED[call.op]
    return call.emit(
        "pointwise", call.input(0), function=call.op.lower(), vector=vector, special=special
    )


@handles("MemcpyFromHost", "MemcpyToHost")
def between_memories(call: Call) -> Made:
    """A copy between host and device, which a runtime puts in."""
    return call.emit("pointwise", call.input(0), function="memcpy", vector=0)


@handles("Crop", "DynamicSlice", "GRUUnit", "GivenTensorFill", treatment="bounded")
def dropped_shapes(call: Call) -> Made:
    """Operators of the first versions whose outputs the file has to state."""
    made = [call.declared(i) for i in range(len(call.outputs))]
    if None in made:
        raise InputError(
            f"{call.op}, which ONNX has dropped, and the file does not say its output's shape"
        )
    there = [m for m in made if m is not None]
    return call.opaque(*(shape for shape, _ in there), formats=[form for _, form in there])
