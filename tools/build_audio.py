"""Make the sounds of chapter 14 in data/audio, and its model in data/models.

    pip install --group author -e .
    pip install --no-deps tinysoundfont==0.3.7
    python tools/build_audio.py sounds FOLDER   write the sounds and their table
    python tools/build_audio.py model FOLDER    write musicnn as ONNX
    python tools/build_audio.py reference FOLDER   and what the original answers; this one needs TensorFlow
    python tools/build_audio.py scale FOLDER    write mean and deviation of its numbers
    python tools/build_audio.py --check         compare the sounds with their table, write nothing

FOLDER gets the packages named in `PACKAGES`, if it has not got them: npm, pip, apt and the network are needed
then. Only maintainers run this; the course reads the files it wrote. What was done: data/README.md.
"""

import csv
import io
import re
import struct
import subprocess
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from committed import arguments, package, put, sha256

from workshop import sounds as course
from workshop.encoders import MODELS
from workshop.paths import DATA
from workshop.sounds import as_opus, log_mel, read

AUDIO = DATA / "audio"
TABLE = AUDIO / "sounds.csv"
MODEL = "musicnn.onnx"
REFERENCE = "audio-reference.npz"
RATE = 24_000  # of the files; Opus knows 8, 12, 16, 24 and 48 kHz
SMALLER = 0.95  # of libsndfile's compression levels, 0 to 1: some 24 kbit/s
LONGEST = 12.0  # seconds of a recording
PHRASE_SECONDS, PIECE_SECONDS = 3.0, 20.0
PIECES = 48

# Where to fetch it, and what it must be.
PACKAGES = {
    "supersonic-scsynth-samples-0.84.2.tgz": (
        "npm pack supersonic-scsynth-samples@0.84.2",
        "aff0b03208adb5dc7612dc7a4e86d55161188326bcff4dbc2d20ce9e1b94238c",
    ),
    "musicnn-0.1.0-py3-none-any.whl": (
        "pip download --no-deps musicnn==0.1.0",
        "f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa",
    ),
    "fluidr3mono-gm-soundfont_2.315-7_all.deb": (
        "apt-get download fluidr3mono-gm-soundfont=2.315-7",
        "4098301bf29f4253c2f5799a844f42dd4aa733d91a210071ad16d7757dea51d6",
    ),
}


def fetched(folder: Path, start: str) -> Path:
    """The package whose file begins so, fetched if it is not there, and only if it is the one that is meant."""
    (name,) = (name for name in PACKAGES if name.startswith(start))
    return package(folder, name, *PACKAGES[name])


# ------------------------------------------------------------------------------ recordings

# What a recording is, by its name; written down before anything was measured. The first that fits counts.
KINDS = (
    ("snare drum", r"sn_|drum_snare|elec_.*snare"),
    ("bass drum", r"bd_|drum_heavy_kick|drum_bass|elec_(soft|hollow)_kick"),
    ("tom", r"drum_tom|elec_fuzz_tom"),
    ("hi-hat", r"hat_|drum_cymbal_(closed|pedal)|tbd_perc_hat"),
    ("cymbal", r"ride_|drum_cymbal|drum_splash|elec_cymbal"),
    ("bell", r"perc_bell|elec_(bell|chime|triangle|ping)|drum_cowbell|tbd_highkey"),
    ("bass", r"bass_|glitch_bass"),
    ("guitar", r"guit_"),
    ("tabla", r"tabla_|loop_tabla"),
    ("beat", r"arovane_beat|loop_(amen|breakbeat|compus|electric|industrial|mehackit|mika|perc|garzul)"),
    ("drone", r"ambi_(drone|glass|haunted|soft_buzz|choir)|loop_drone|tbd_(pad|fxbed|voctone)|loop_weirdo"),
    ("click", r"elec_(beep|blip|blup|flip|plip|pop|tick|twip|wood|bong)|tbd_perc|perc_(snap|impact)"),
    ("machine", r"mehackit|glitch_|loop_3d"),
    ("noise", r"ambi_|vinyl_|perc_(swash|swoosh|till|door)"),
)  # fmt: skip
FAMILIES = (
    "piano", "mallets", "organ", "guitar", "bass", "strings", "ensemble", "brass", "reed", "flute"
)  # fmt: skip
PROGRAMS = """
acoustic grand piano|bright piano|electric grand piano|honky-tonk piano|electric piano 1|electric piano 2|harpsichord|clavinet
celesta|glockenspiel|music box|vibraphone|marimba|xylophone|tubular bells|dulcimer
drawbar organ|percussive organ|rock organ|church organ|reed organ|accordion|harmonica|bandoneon
nylon guitar|steel guitar|jazz guitar|clean electric guitar|muted guitar|overdriven guitar|distorted guitar|guitar harmonics
acoustic bass|fingered bass|picked bass|fretless bass|slap bass 1|slap bass 2|synth bass 1|synth bass 2
violin|viola|cello|double bass|tremolo strings|plucked strings|harp|timpani
string ensemble 1|string ensemble 2|synth strings 1|synth strings 2|choir aahs|voice oohs|synth voice|orchestra hit
trumpet|trombone|tuba|muted trumpet|french horn|brass section|synth brass 1|synth brass 2
soprano saxophone|alto saxophone|tenor saxophone|baritone saxophone|oboe|english horn|bassoon|clarinet
piccolo|flute|recorder|pan flute|blown bottle|shakuhachi|whistle|ocarina
""".replace("\n", "|").strip("|").split("|")  # fmt: skip


def recordings(folder: Path) -> Iterator[dict[str, Any]]:
    """The sounds of Sonic Pi, with who made them."""
    with tarfile.open(fetched(folder, "supersonic")) as archive:
        text = archive.extractfile("package/PROVENANCE.md").read().decode("utf-8")
        files = sorted(m for m in archive.getnames() if m.endswith(".flac"))
        sources = provenance(text)
        for member in files:
            name = Path(member).stem
            samples, rate = soundfile.read(
                io.BytesIO(archive.extractfile(member).read()), dtype="float32"
            )
            mono = samples if samples.ndim == 1 else samples.mean(axis=1)
            yield {
                "id": f"recording-{name}",
                "name": name.replace("_", " "),
                "group": "recording",
                "kind": next((kind for kind, rule in KINDS if re.match(rule, name)), "other"),
                "source": sources[name.replace("_", "")],
                "licence": "CC0-1.0",
                "samples": soxr.resample(mono, rate, RATE)[: int(LONGEST * RATE)],
            }


def provenance(text: str) -> dict[str, str]:
    """A sound's name without underscores, to whoever recorded it."""
    found = {}
    for name, about in re.findall(r"^\* `:?(\w+)`\s*-\s*(.*)$", text, re.MULTILINE):
        person = re.search(r"/people/([^/]+)/", about, re.IGNORECASE)
        given = re.search(r"[Dd]onated by (.+?) under", about)
        found[name.replace("_", "").lower()] = (
            f"freesound.org: {person[1].replace('%20', ' ')}" if person else given[1]
        )
    return found


# ------------------------------------------------------------------------------ rendered sounds


class Player:
    """Plays the sound font: notes of (channel, program, key, start, length, velocity) to samples."""

    def __init__(self, folder: Path) -> None:
        deb = fetched(folder, "fluid")
        subprocess.run(["dpkg", "-x", deb, folder / "soundfont"], check=True)
        path = folder / "soundfont/usr/share/fluidr3mono-gm-soundfont/FluidR3Mono_GM.sf3"

        import tinysoundfont

        self._synth = tinysoundfont.Synth(samplerate=RATE)
        self._font = self._synth.sfload(str(path))

    def play(
        self, notes: list[tuple[int, int, int, float, float, int]], seconds: float
    ) -> np.ndarray:
        """Mono float32 at RATE. Channel 9 are drums. The loudest sample is 0.7."""
        synth = self._synth
        synth.sounds_off()
        programs = {channel: program for channel, program, *_ in notes}
        for channel, program in programs.items():
            bank = 128 if channel == 9 else 0
            synth.program_select(channel, self._font, bank, program, is_drums=channel == 9)
        events = []
        for channel, _, key, start, length, velocity in notes:
            events += [(start, 1, channel, key, velocity), (start + length, 0, channel, key, 0)]
        parts, at = [], 0
        for time, on, channel, key, velocity in sorted(events):
            until = min(int(time * RATE), int(seconds * RATE))
            if until > at:
                parts.append(np.frombuffer(synth.generate(until - at), np.float32).copy())
                at = until
            if on:
                synth.noteon(channel, key, velocity)
            else:
                synth.noteoff(channel, key)
        if at < int(seconds * RATE):
            parts.append(np.frombuffer(synth.generate(int(seconds * RATE) - at), np.float32).copy())
        mono = np.concatenate(parts).reshape(-1, 2).mean(axis=1)
        fade = min(len(mono), RATE // 20)
        mono[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
        return 0.7 * mono / max(1e-6, np.abs(mono).max())


# Steps of six notes in semitones, and how far from the middle of the instrument they begin.
PHRASES = {
    "low": (-7, (0, 4, 7, 12, 7, 4)),
    "middle": (0, (0, 2, 4, 5, 7, 7)),
    "high": (8, (12, 11, 7, 4, 2, 0)),
}


def phrases(player: Player) -> Iterator[dict[str, Any]]:
    """Three short phrases of each of 80 instruments."""
    for program, instrument in enumerate(PROGRAMS):
        family = FAMILIES[program // 8]
        middle = 36 if family == "bass" else 60
        for register, (begin, steps) in PHRASES.items():
            played = [
                (0, program, middle + begin + step, 0.45 * i, 0.6 if i == 5 else 0.42, 90)
                for i, step in enumerate(steps)
            ]
            yield {
                "id": f"phrase-{program:02}-{register}",
                "name": f"{instrument}, {register}",
                "group": "phrase",
                "kind": family,
                "source": instrument,
                "licence": "MIT",
                "samples": player.play(played, PHRASE_SECONDS),
            }


MELODY, CHORDS, BASS = (
    (0, 11, 40, 56, 65, 68, 71, 73, 75, 79),
    (0, 4, 16, 24, 25, 48, 52, 19),
    (32, 33, 35, 43),
)


def pieces(player: Player) -> Iterator[dict[str, Any]]:
    """Short pieces of music, made up by rules and a random generator."""
    for number in range(1, PIECES + 1):
        rng = np.random.default_rng(1400 + number)
        melody, chords, bass = (int(rng.choice(group)) for group in (MELODY, CHORDS, BASS))
        drums = bool(rng.random() < 0.6)
        played = [PROGRAMS[melody], PROGRAMS[chords], PROGRAMS[bass], *["drums"] * drums]
        yield {
            "id": f"piece-{number:02}",
            "name": f"piece {number}: {', '.join(dict.fromkeys(played))}",
            "group": "piece",
            "kind": "piece",
            "source": f"piece {number}",
            "licence": "MIT",
            "samples": player.play(compose(rng, melody, chords, bass, drums), PIECE_SECONDS),
        }


def compose(
    rng: np.random.Generator, melody: int, chords: int, bass: int, drums: bool
) -> list[tuple[int, int, int, float, float, int]]:
    """A tune over four chords that come again, with one motif that is varied."""
    tonic, beat = int(rng.integers(55, 67)), 60 / rng.uniform(76, 144)
    scale = np.array([0, 2, 3, 5, 7, 8, 10] if rng.random() < 0.5 else [0, 2, 4, 5, 7, 9, 11])
    beats = int(rng.choice([3, 4]))
    degrees = [0, *rng.choice([1, 2, 3, 4, 5], 3)]
    rhythm = rng.choice([0.5, 0.5, 1.0, 1.0, 1.5], 6)
    steps = rng.choice([-2, -1, -1, 0, 1, 1, 2, 3], 6)
    out = []

    def key(degree: int, base: int) -> int:
        octave, step = divmod(int(degree), 7)
        return base + 12 * octave + int(scale[step])

    for bar in range(int(PIECE_SECONDS / (beats * beat)) + 1):
        start, degree = bar * beats * beat, int(degrees[bar % 4])
        for step in (0, 2, 4):
            for hit in range(beats if chords in (24, 25) else 1):
                length = beat * (0.9 if chords in (24, 25) else beats * 0.95)
                at = start + hit * beat + rng.uniform(0, 0.015)
                out.append((1, chords, key(degree + step, tonic - 12), at, length, 58))
        for hit in (0, beats - 2):
            out.append((2, bass, key(degree, tonic - 24), start + hit * beat, beat * 0.9, 84))
        if drums:
            for half in range(2 * beats):
                out.append((9, 0, 42, start + half * beat / 2, 0.1, 50))
            out.append((9, 0, 36, start, 0.1, 96))
            out.append((9, 0, 38, start + (beats // 2) * beat, 0.1, 84))
        at, place = 0.0, degree + 7 + int(rng.integers(0, 3))
        for length, step in zip(rhythm, steps, strict=True):
            if at + length > beats:
                break
            place += int(step) if rng.random() < 0.8 else -int(step)
            wait = rng.uniform(0, 0.02)
            out.append(
                (0, melody, key(place, tonic), start + at * beat + wait, length * beat * 0.9, 100)
            )
            at += length
    return out


# ------------------------------------------------------------------------------ the table

COLUMNS = ("id", "file", "name", "group", "kind", "source", "half", "licence", "seconds", "sha256")


def build_sounds(folder: Path) -> None:
    """Write all sounds as Opus, and sounds.csv."""
    player = Player(folder)
    sounds = [*recordings(folder), *phrases(player), *pieces(player)]
    halves = split(sounds)
    AUDIO.mkdir(parents=True, exist_ok=True)
    for old in AUDIO.glob("*.opus"):
        old.unlink()
    for sound in sounds:
        samples, path = sound.pop("samples"), AUDIO / f"{sound['id']}.opus"
        path.write_bytes(as_opus(samples, RATE, SMALLER))
        sound |= {
            "file": path.name,
            "half": halves[sound["group"], sound["source"]],
            "seconds": f"{len(samples) / RATE:.2f}",
            "sha256": sha256(path),
        }
    with (TABLE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sounds)
    size = sum(path.stat().st_size for path in AUDIO.iterdir())
    print(f"{len(sounds)} sounds, {size:,} bytes")


def split(sounds: list[dict[str, Any]]) -> dict[tuple[str, str], str]:
    """(group, source) to "tuning" or "report": each source, the largest first, to the half with fewer sounds."""
    sizes = Counter((sound["group"], sound["source"]) for sound in sounds)
    halves, filled = {}, Counter()
    for source, size in sorted(sizes.items(), key=lambda one: (-one[1], one[0])):
        group = source[0]
        half = min(("report", "tuning"), key=lambda half: filled[group, half])
        halves[source] = half
        filled[group, half] += size
    return halves


# ------------------------------------------------------------------------------ a TensorFlow checkpoint


def varint(content: bytes, at: int) -> tuple[int, int]:
    """A number as protocol buffers write it, and where it ends."""
    value = shift = 0
    while True:
        byte = content[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def entries(content: bytes, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of each entry in a block of a LevelDB table."""
    if content[start + size]:
        raise SystemExit("a block of the checkpoint is compressed")
    block = content[start : start + size]
    (restarts,) = struct.unpack("<I", block[-4:])
    end, at, key = len(block) - 4 - 4 * restarts, 0, b""
    while at < end:
        shared, at = varint(block, at)
        fresh, at = varint(block, at)
        length, at = varint(block, at)
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, block[at : at + length]
        at += length


def fields(content: bytes) -> list[tuple[int, Any]]:
    """(number, value) of each field in a protocol buffer."""
    at, out = 0, []
    while at < len(content):
        tag, at = varint(content, at)
        match tag & 7:
            case 0:
                value, at = varint(content, at)
            case 2:
                length, at = varint(content, at)
                value, at = content[at : at + length], at + length
            case kind:
                size = {5: 4, 1: 8}[kind]
                value, at = content[at : at + size], at + size
        out.append((tag >> 3, value))
    return out


def read_checkpoint(index: bytes, data: bytes) -> dict[str, np.ndarray]:
    """The variables of a TensorFlow checkpoint (version 2), by their names, without TensorFlow."""
    _, at = varint(index[-48:], 0)
    _, at = varint(index[-48:], at)
    start, at = varint(index[-48:], at)
    size, _ = varint(index[-48:], at)
    out = {}
    for _, handle in entries(index, start, size):
        start_of_block, at = varint(handle, 0)
        size_of_block, _ = varint(handle, at)
        for name, entry in entries(index, start_of_block, size_of_block):
            about = dict(fields(entry))
            if not name or about.get(1) != 1:  # 1 is float32
                continue
            shape = [dict(fields(v)).get(1, 0) for k, v in fields(about.get(2, b"")) if k == 2]
            place = about.get(4, 0)
            out[name.decode()] = np.frombuffer(data[place : place + about[5]], np.float32).reshape(
                shape
            )
    return out


# ------------------------------------------------------------------------------ musicnn in ONNX

CHECKPOINT = "musicnn/MTT_musicnn/"


class Musicnn:
    """The network of musicnn's `build_musicnn`, in ONNX: (n, frames, 96) to tags (n, 50) and pooled (n, 1506)."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.weights, self.nodes, self.constants = weights, [], []

    def constant(self, numbers: np.ndarray) -> str:
        """A constant, by its name."""
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(numbers), name))
        return name

    def op(self, kind: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        """An operation, by the name of its output."""
        from onnx import helper

        name = out or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def norm(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Factor and summand of a batch normalisation."""
        name = "batch_normalization" + (f"_{number}" if number else "")
        gamma, beta, mean, variance = (
            self.weights[f"{name}/{part}"]
            for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        factor = gamma / np.sqrt(variance + np.float32(1e-3))
        return factor, beta - mean * factor

    def normalised(self, x: str, number: int, shape: tuple[int, ...]) -> str:
        """A batch normalisation; some factors are negative, so it stays before a maximum."""
        factor, summand = self.norm(number)
        scaled = self.op("Mul", x, self.constant(factor.reshape(shape)))
        return self.op("Add", scaled, self.constant(summand.reshape(shape)))

    def convolution(self, x: str, number: int, pads: list[int]) -> str:
        """A convolution over time and frequency, or over time alone, and its ReLU."""
        name = "conv2d" + (f"_{number}" if number else "")
        kernel = self.weights[f"{name}/kernel"]
        turned = (
            kernel.transpose(3, 2, 0, 1) if len(pads) == 4 else kernel[:, :, 0].transpose(2, 1, 0)
        )
        weights = self.constant(turned), self.constant(self.weights[f"{name}/bias"])
        return self.op("Relu", self.op("Conv", x, *weights, pads=pads))

    def build(self) -> bytes:
        """The whole network."""
        import onnx
        from onnx import TensorProto, helper

        x = self.op("Unsqueeze", "mel", self.constant(np.array([1])))
        x = self.normalised(x, 0, (1, 1, 1, 1))
        front = []
        for number, before, after in ((0, 3, 3), (1, 3, 3), (2, 63, 64), (3, 31, 32), (4, 15, 16)):
            y = self.convolution(x, number, [before, 0, after, 0])
            y = self.normalised(y, number + 1, (1, -1, 1, 1))
            front.append(self.op("ReduceMax", y, axes=[3], keepdims=0))
        layers = [self.op("Concat", *front, axis=1)]
        for number in (5, 6, 7):
            y = self.normalised(
                self.convolution(layers[-1], number, [3, 3]), number + 1, (1, -1, 1)
            )
            layers.append(self.op("Add", y, layers[-1]) if number > 5 else y)
        x = self.op("Concat", *layers, axis=1)
        most = self.op("ReduceMax", x, axes=[2], keepdims=1)
        mean = self.op("ReduceMean", x, axes=[2], keepdims=1)
        pooled = self.op("Flatten", self.op("Concat", most, mean, axis=2), out="pooled", axis=1)
        x = self.normalised(pooled, 9, (1, -1))
        x = self.op("Relu", self.dense(x, "dense"))
        x = self.normalised(x, 10, (1, -1))
        self.op("Sigmoid", self.dense(x, "dense_1"), out="tags")
        entry = helper.make_tensor_value_info("mel", TensorProto.FLOAT, ["n", "frames", 96])
        ends = [
            helper.make_tensor_value_info("tags", TensorProto.FLOAT, ["n", 50]),
            helper.make_tensor_value_info("pooled", TensorProto.FLOAT, ["n", 1506]),
        ]
        graph = helper.make_graph(self.nodes, "musicnn", [entry], ends, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        onnx.checker.check_model(model)
        return model.SerializeToString()

    def dense(self, x: str, name: str) -> str:
        """A layer that joins everything with everything."""
        weights = self.weights[f"{name}/kernel"], self.weights[f"{name}/bias"]
        return self.op("Gemm", x, *map(self.constant, weights))


def build_model(folder: Path) -> None:
    """Write the model, and its row in models.json."""
    with zipfile.ZipFile(fetched(folder, "musicnn")) as wheel:
        index = wheel.read(f"{CHECKPOINT}.index")
        weights = read_checkpoint(index, wheel.read(f"{CHECKPOINT}.data-00000-of-00001"))
    put(
        MODELS / "models.json",
        MODEL,
        Musicnn(weights).build(),
        source="musicnn 0.1.0 on PyPI, MTT_musicnn (Jordi Pons, Music Technology Group, Universitat Pompeu Fabra)",
        licence="ISC",
        made=f"Changed: the checkpoint read without TensorFlow and built anew in ONNX, float32; onnx {version('onnx')}",
    )


def build_reference(folder: Path) -> None:
    """Write what the original graph answers in TensorFlow, for three seconds of a piece."""
    import tensorflow as tf

    with zipfile.ZipFile(fetched(folder, "musicnn")) as wheel:
        for ending in (".meta", ".index", ".data-00000-of-00001"):
            wheel.extract(CHECKPOINT + ending, folder)
    start = f"{folder / CHECKPOINT}/"
    mel = log_mel(read(AUDIO / "piece-01.opus"))[:187][None]
    meta = tf.compat.v1.MetaGraphDef.FromString(Path(f"{start}.meta").read_bytes())
    answers = ["model/Sigmoid", "model/Flatten/flatten/Reshape"]
    graph_def = tf.compat.v1.graph_util.extract_sub_graph(meta.graph_def, answers)
    checkpoint = tf.compat.v1.train.NewCheckpointReader(start)
    with tf.Graph().as_default() as graph, tf.compat.v1.Session() as session:
        tf.import_graph_def(graph_def, name="")
        feed = {}
        for node in graph_def.node:
            if node.op == "VariableV2":
                feed[f"{node.name}/read:0"] = checkpoint.get_tensor(node.name)
            elif node.op == "Placeholder":
                training = node.attr["dtype"].type == tf.bool.as_datatype_enum
                feed[f"{node.name}:0"] = False if training else mel
        found = [tensor for tensor in feed if _is_there(graph, tensor)]
        tags, pooled = session.run(
            [f"{answer}:0" for answer in answers], {tensor: feed[tensor] for tensor in found}
        )
    content = io.BytesIO()
    np.savez_compressed(content, mel=mel, tags=tags, pooled=pooled)
    put(
        MODELS / "models.json",
        REFERENCE,
        content.getvalue(),
        source="The original musicnn in TensorFlow, on the first three seconds of data/audio/piece-01.opus",
        licence="CC-BY-4.0",
        made=f"What it answers, float32; tensorflow {tf.__version__}",
    )


def _is_there(graph: Any, tensor: str) -> bool:
    """Whether the graph has a tensor of this name."""
    return tensor.split(":")[0] in {operation.name for operation in graph.get_operations()}


def build_scale(_: Path) -> None:
    """Write mean and deviation of musicnn's numbers, learnt from short sounds of the tuning half."""
    short = course.sounds("phrase", "tuning") + course.sounds("recording", "tuning")
    scale = course.Scale(course.SoundEncoder().run([sound.read() for sound in short])[0])
    content = io.BytesIO()
    np.save(content, np.array([scale.mean, scale.deviation], np.float32))
    put(
        MODELS / "models.json",
        course.SCALE,
        content.getvalue(),
        source=f"Mean and deviation of musicnn's 1,506 numbers over {len(short)} sounds of data/audio",
        licence="CC-BY-4.0",
        made="workshop.sounds.SoundEncoder and Scale",
    )


if __name__ == "__main__":
    make = {"sounds": build_sounds, "model": build_model, "reference": build_reference}
    make["scale"] = build_scale
    options = arguments(__doc__, TABLE, "*.opus", parts=[*make])
    make[options.part](options.folder)
