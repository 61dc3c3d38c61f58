"""Sounds: read within limits, compared as recordings (fingerprints) and by how they sound (vectors).

samples = read("a.mp3")                      mono, 16 kHz
codes, frames = fingerprint(samples)         the same recording: `FingerprintIndex`
vectors, tags = SoundEncoder().run([samples])     a similar sound
"""

import csv
import io
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import soundfile
import soxr
from IPython.display import Audio
from scipy.ndimage import maximum_filter
from scipy.signal import get_window

from workshop.encoders import (
    TextEncoder,
    _bar,
    _map,
    conse,
    load_session,
    physical_cores,
    read_model_file,
)
from workshop.errors import TooLarge, WorkshopError
from workshop.paths import DATA

SOUNDS = DATA / "audio"
MODEL, SCALE = "musicnn.onnx", "musicnn-scale.npy"

RATE = 16_000  # samples a second, of everything in this module
LOWEST, HIGHEST = 8_000, 96_000  # sample rates that are read
MAX_SECONDS = 600.0
MAX_BYTES = 100_000_000  # of a file
MIN_SECONDS = 0.01  # in less there is nothing to compare
SILENCE = 1e-4  # the loudest sample below which there is nothing to hear: 80 dB below the loudest possible


class SoundError(WorkshopError):
    """A sound that cannot be read. The message names it and says why."""


class SoundTooLarge(SoundError, TooLarge):
    """A sound that asks for more than is allowed. The message names the limit it crossed."""


# ------------------------------------------------------------------------------ reading

_KINDS = "Give a WAV, FLAC, MP3, Ogg, Opus, M4A or WebM file."


def read(
    source: str | Path | bytes,
    *,
    name: str | None = None,
    max_seconds: float = MAX_SECONDS,
    max_bytes: int = MAX_BYTES,
) -> np.ndarray:
    """A sound as float32 (n,), mono, 16,000 samples a second, each from about −1 to 1.

    source       a path, or the bytes of a file: WAV, FLAC, MP3, Ogg, Opus by libsndfile; M4A and WebM, which
                 browsers record, by FFmpeg
    name         what an error calls it; default: the path's last part, or "the sound"
    max_seconds  of the sound
    max_bytes    of the file

    Channels are averaged. Raises SoundTooLarge beyond a limit, and SoundError for what is no sound, is
    broken, silent, shorter than 0.01 s, or has a sample rate outside of 8 to 96 kHz.
    """
    if isinstance(source, bytes):
        name, content = name or "the sound", source
    else:
        path = Path(source)
        name = name or path.name
        if not path.is_file():
            raise SoundError(f"{name}: there is no such file ({str(source)[:200]}).")
        if path.stat().st_size > max_bytes:
            raise _too_many_bytes(name, path.stat().st_size, max_bytes)
        content = path.read_bytes()
    if not content:
        raise SoundError(f"{name} is empty: it holds no byte. {_KINDS}")
    if len(content) > max_bytes:
        raise _too_many_bytes(name, len(content), max_bytes)
    by = _by_ffmpeg if _is_mp4(content) or content.startswith(_WEBM) else _by_sndfile
    mono, rate = by(content, name, max_seconds)
    return _checked(mono, rate, name)


def read_file(content: bytes, name: str, **limits: Any) -> dict[str, np.ndarray]:
    """`read`, as a process of `decoding.FileReader("workshop.sounds:read_file")` calls it.

    Returns {"samples": float32 (n,)}; limits as in `read`.
    """
    return {"samples": read(content, name=name, **limits)}


def hear_file(content: bytes, name: str, **limits: Any) -> dict[str, np.ndarray]:
    """All that is asked of a stranger's sound and grows with its length, as a process of `FileReader` does it.

    Returns samples (n,) as `read` gives them, codes and frames (m,) of its `fingerprint`, and its `patches`
    for `SoundEncoder.hear`; limits as in `read`.
    """
    samples = read(content, name=name, **limits)
    codes, frames = fingerprint(samples)
    return {"samples": samples, "codes": codes, "frames": frames, "patches": patches(samples)}


def _too_many_bytes(name: str, size: int, most: int) -> SoundTooLarge:
    return SoundTooLarge(
        f"{name} has {size:,} bytes, more than the {most:,} allowed here (max_bytes). Save it as MP3 or Opus, or "
        "cut it into parts."
    )


def _too_long(name: str, most: float) -> SoundTooLarge:
    return SoundTooLarge(
        f"{name} is longer than {most:g} s, the limit here (max_seconds). Cut it into parts."
    )


_WEBM = b"\x1aE\xdf\xa3"  # how every Matroska file begins


def _is_mp4(content: bytes) -> bool:
    return content[4:8] == b"ftyp"


def _by_sndfile(content: bytes, name: str, max_seconds: float) -> tuple[np.ndarray, int]:
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            _check_rate(file.samplerate, name)
            # The length in the head may lie, so what is read counts too.
            if 0 < file.frames < 2**62 and file.frames > max_seconds * file.samplerate:
                raise _too_long(name, max_seconds)
            parts, count = [], 0
            while len(block := file.read(2**18, "float32", always_2d=True)):
                count += len(block)
                if count > max_seconds * file.samplerate:
                    raise _too_long(name, max_seconds)
                parts.append(block.mean(axis=1))
            if not count and file.frames:
                raise SoundError(f"{name} breaks off before its first sample. Save it again.")
            return np.concatenate([np.zeros(0, np.float32), *parts]), file.samplerate
    except (soundfile.SoundFileError, MemoryError, ValueError) as error:
        raise SoundError(
            f"{name} is no sound that is read here, or it is broken. {_KINDS}"
        ) from error


def _by_ffmpeg(content: bytes, name: str, max_seconds: float) -> tuple[np.ndarray, int]:
    options = {"format_whitelist": "mov,mp4,matroska,webm", "protocol_whitelist": "file"}
    parts, seconds, rate = [], 0.0, 0
    try:
        with av.open(io.BytesIO(content), options=options, metadata_errors="replace") as file:
            if not file.streams.audio or file.streams.audio[0].codec_context is None:
                raise SoundError(f"{name} has no sound in it that is read here. {_KINDS}")
            stream = file.streams.audio[0]
            rate = stream.rate or 0
            _check_rate(rate, name)
            if stream.duration and float(stream.duration * stream.time_base) > max_seconds + 0.2:
                raise _too_long(name, max_seconds)
            resampler = av.AudioResampler(format="fltp", rate=rate)
            for frame in file.decode(stream):
                for part in resampler.resample(frame):
                    parts.append(part.to_ndarray().mean(axis=0))
                    seconds += part.samples / rate
                if seconds > max_seconds + 0.2:
                    raise _too_long(name, max_seconds)
    except (av.error.FFmpegError, IndexError, ValueError) as error:
        raise SoundError(
            f"{name} cannot be read: it is broken, or no M4A or WebM. {_KINDS}"
        ) from error
    return np.concatenate([np.zeros(0, np.float32), *parts]), rate


def _check_rate(rate: int, name: str) -> None:
    if not LOWEST <= rate <= HIGHEST:
        raise SoundError(
            f"{name} has {rate:,} samples a second; {LOWEST:,} to {HIGHEST:,} are read here. Save it with 44,100."
        )


def _checked(mono: np.ndarray, rate: int, name: str) -> np.ndarray:
    if not len(mono):
        raise SoundError(f"{name} has no sample: there is nothing to hear.")
    if not np.isfinite(mono).all():
        raise SoundError(
            f"{name} has samples that are no numbers (NaN or infinite). Save it again."
        )
    if len(mono) < MIN_SECONDS * rate:
        number = f"{len(mono)} sample{'s' if len(mono) > 1 else ''}"
        raise SoundError(
            f"{name} is too short: {number} at {rate:,} a second. At least {MIN_SECONDS:g} s are needed."
        )
    if np.abs(mono).max() < SILENCE:
        raise SoundError(f"{name} is silent: there is nothing to hear in it.")
    if rate != RATE:
        mono = soxr.resample(mono, rate, RATE)
    return np.ascontiguousarray(mono, np.float32)


def as_opus(samples: np.ndarray, rate: int = RATE, level: float = 0.9) -> bytes:
    """Samples as an Ogg file in Opus, some kilobytes a second: the same samples, the same bytes.

    samples  (n,); what is beyond −1 and 1 is cut off
    rate     8, 12, 16, 24 or 48 kHz
    level    of libsndfile's compression, 0 to 1
    """
    content = io.BytesIO()
    cut = np.clip(samples, -1, 1)
    soundfile.write(content, cut, rate, "OPUS", format="OGG", compression_level=level)
    return _same_serial(content.getvalue())


def _same_serial(content: bytes) -> bytes:
    """An Ogg file whose stream has the serial number 1 instead of a random one."""
    out, at = bytearray(), 0
    while at < len(content):
        lengths = content[at + 27 : at + 27 + content[at + 26]]
        page = bytearray(content[at : at + 27 + len(lengths) + sum(lengths)])
        at += len(page)
        page[14:18], page[22:26] = (1).to_bytes(4, "little"), bytes(4)
        page[22:26] = _ogg_crc(page).to_bytes(4, "little")
        out += page
    return bytes(out)


@cache
def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
        table.append(value)
    return tuple(table)


def _ogg_crc(page: bytes) -> int:
    """The check sum of an Ogg page."""
    table, value = _crc_table(), 0
    for byte in page:
        value = (value << 8 & 0xFFFFFFFF) ^ table[value >> 24 ^ byte]
    return value


def player(samples: np.ndarray) -> Audio:
    """A player for a notebook, of the first 10 seconds: some 3 kB a second in its file.

    samples  (n,) at RATE, made less loud where they go beyond −1 and 1
    """
    shown = samples[: 10 * RATE] / max(1.0, float(np.abs(samples).max()))
    audio = Audio(data=as_opus(shown, level=0.95))
    audio.mimetype = "audio/ogg"
    return audio


# ------------------------------------------------------------------------------ the course's sounds


class Sound(NamedTuple):
    """One sound of the course."""

    id: str  # such as "phrase-40-low"
    name: str  # what it is called, such as "violin, low"
    group: str  # "recording", "phrase" or "piece"
    kind: str  # of recordings and families of instruments, such as "snare drum" or "strings"
    source: str  # who recorded it, or the instrument: never on both sides of a split
    half: str  # "tuning" or "report"
    licence: str
    seconds: float
    path: Path

    def read(self) -> np.ndarray:
        """Its samples, as `read` gives them."""
        return read(self.path)


@cache
def _sounds() -> tuple[Sound, ...]:
    table = SOUNDS / "sounds.csv"
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return tuple(_sound(row) for row in rows)
    except (OSError, KeyError, ValueError) as error:
        raise WorkshopError(
            f"{table} is missing or damaged. Put it back with: git checkout -- data/audio"
        ) from error


def _sound(row: dict[str, str]) -> Sound:
    path = SOUNDS / row["file"]
    about = {key: row[key] for key in ("id", "name", "group", "kind", "source", "half", "licence")}
    return Sound(**about, seconds=float(row["seconds"]), path=path)


def sounds(group: str | None = None, half: str | None = None) -> list[Sound]:
    """The course's sounds in their order; of one group ("recording", "phrase", "piece"), or of one half."""
    for given, known in ((group, ("recording", "phrase", "piece")), (half, ("tuning", "report"))):
        if given is not None and given not in known:
            raise WorkshopError(f"{given!r} is none of {', '.join(known)}.")
    return [s for s in _sounds() if group in (None, s.group) and half in (None, s.half)]


# ------------------------------------------------------------------------------ spectrograms


_AT_ONCE = 4096  # frames: ten minutes would need 400 MB otherwise


def spectrogram(samples: np.ndarray, size: int = 1024, hop: int = 256) -> np.ndarray:
    """How loud each frequency is over time: magnitudes, float32 (frames, size / 2 + 1).

    samples  (n,) at RATE
    size     samples that one frame looks at, through a Hann window
    hop      samples from one frame to the next; frame t looks around sample t · hop

    Column f stands for f · RATE / size Hz. There are 1 + n // hop frames.
    """
    samples = np.asarray(samples, np.float32)
    if samples.ndim != 1 or not len(samples):
        raise SoundError(f"A spectrogram is made of samples of shape (n,), not {samples.shape}.")
    padded = np.pad(samples, size // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    window = get_window("hann", size).astype(np.float32)
    loud = np.empty((len(frames), size // 2 + 1), np.float32)
    for start in range(0, len(frames), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        loud[part] = np.abs(np.fft.rfft(frames[part] * window, axis=1))
    return loud


@cache
def mel_filters(bands: int = 96, size: int = 512) -> np.ndarray:
    """Triangles that gather the columns of a spectrogram in bands, float32 (size / 2 + 1, bands).

    Slaney's mel scale: even steps up to 1,000 Hz, then even ratios, as the ear hears pitch; each triangle
    has the area 1 (Slaney 1998, Auditory Toolbox; librosa's default).
    """
    knee, ratio = 15.0, np.log(6.4) / 27
    top = knee + np.log(RATE / 2 / 1000) / ratio
    mels = np.linspace(0, top, bands + 2)
    hertz = np.where(mels < knee, mels * 200 / 3, 1000 * np.exp((mels - knee) * ratio))
    columns = np.linspace(0, RATE / 2, size // 2 + 1)
    rising = (columns - hertz[:-2, None]) / np.diff(hertz)[:-1, None]
    falling = (hertz[2:, None] - columns) / np.diff(hertz)[1:, None]
    filters = np.maximum(0, np.minimum(rising, falling))
    return (filters * (2 / (hertz[2:] - hertz[:-2]))[:, None]).T.astype(np.float32)


def log_mel(samples: np.ndarray) -> np.ndarray:
    """What musicnn sees: float32 (frames, 96), 62.5 frames a second.

    The power in 96 mel bands, through float16 as in its training, as log10(1 + 10,000 · power).
    """
    power = spectrogram(samples, 512, 256) ** 2 @ mel_filters()
    return np.log10(10_000 * power.astype(np.float16).astype(np.float32) + 1)


def mfcc(samples: np.ndarray, size: int = 20) -> np.ndarray:
    """What was used before neural networks, float32 (2 · size,): mean and deviation of MFCC over time.

    Mel-frequency cepstral coefficients (Davis & Mermelstein 1980): the cosine transform of the logarithms of
    the mel bands, of which the first `size` describe the colour of a sound; without the first, the loudness.
    """
    bands = np.log(spectrogram(samples, 512, 256) ** 2 @ mel_filters() + 1e-6)
    steps = np.arange(bands.shape[1])
    basis = np.cos(np.pi * np.outer(steps + 0.5, np.arange(1, size + 1)) / bands.shape[1])
    coefficients = bands @ basis
    return np.concatenate([coefficients.mean(axis=0), coefficients.std(axis=0)]).astype(np.float32)


# ------------------------------------------------------------------------------ the same recording

SIZE, HOP = 1024, 256  # of the spectrogram: 15.6 Hz a column, 16 ms a frame
LOWEST_COLUMN = 4  # below 62 Hz there is mostly hum
PEAKS = 30  # a second, at most
NEAR_FRAMES, NEAR_COLUMNS = 7, 12  # a peak is the loudest within so many on each side
RANGE = 9.0  # below the loudest peak by more (in natural logarithms of magnitude) is no peak
FAN = 8  # partners of a peak, at most
NEAREST, FARTHEST, WIDEST = 2, 63, 63  # frames and columns to a partner

VOTES = 15  # the least votes, and
TIMES = 2.0  # how many times those of its next best shift, with which a recording is accepted
CANDIDATES = 20  # of a search by codes alone, that are aligned in time


def peaks(samples: np.ndarray) -> np.ndarray:
    """The constellation: places that are the loudest around, int64 (n, 2) of frame and column, in order of time."""
    loud = np.log(spectrogram(samples, SIZE, HOP)[:, LOWEST_COLUMN:] + 1e-3)
    around = maximum_filter(loud, size=(2 * NEAR_FRAMES + 1, 2 * NEAR_COLUMNS + 1))
    found = np.argwhere((loud == around) & (loud > loud.max() - RANGE))
    most = int(PEAKS * max(1, len(samples) / RATE))
    loudest = np.argsort(-loud[tuple(found.T)], kind="stable")[:most]
    found = found[np.sort(loudest)]  # argwhere goes row by row, so this is the order of time
    return np.add(found, [0, LOWEST_COLUMN])


def pairs(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes of pairs of peaks, and the frame of the first peak of each: int64 (m,) and (m,).

    points  (n, 2) from `peaks`

    A code holds the two columns and the frames between them, and no absolute time (Wang 2003, "An industrial-
    strength audio search algorithm"). Each peak is joined with the first 8 that come 2 to 63 frames later.
    """
    codes, frames = [], []
    times, columns = points[:, 0].tolist(), points[:, 1].tolist()
    for i in range(len(times)):
        partners = 0
        for j in range(i + 1, len(times)):
            later = times[j] - times[i]
            if later > FARTHEST or partners == FAN:
                break
            if later >= NEAREST and abs(columns[j] - columns[i]) <= WIDEST:
                codes.append(columns[i] << 16 | columns[j] << 6 | later)
                frames.append(times[i])
                partners += 1
    return np.array(codes, np.int64), np.array(frames, np.int64)


def fingerprint(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes (m,) and their frames (m,), of `pairs` of `peaks`; none at all for a sound without partners."""
    return pairs(peaks(samples))


class Alignment(NamedTuple):
    """How well a query fits in a recording."""

    votes: int  # codes that both have at one and the same shift in time
    rest: int  # the most votes of any other shift
    shift: int  # the query's frame 0 is the recording's frame `shift`

    @property
    def accepted(self) -> bool:
        """Whether it is surely the same recording."""
        return accepted(self.votes, self.rest)


def align(
    codes: np.ndarray, frames: np.ndarray, other_codes: np.ndarray, other_frames: np.ndarray
) -> Alignment:
    """The shift in time at which a query and a recording have most codes in common.

    codes, frames              of the query, from `fingerprint`
    other_codes, other_frames  of the recording

    One frame of play is allowed: votes of two neighbouring shifts count together.
    """
    shared = np.isin(other_codes, codes)  # few: the loops below are over these alone
    at = defaultdict(list)
    for code, frame in zip(
        other_codes[shared].tolist(), other_frames[shared].tolist(), strict=True
    ):
        at[code].append(frame)
    shifts: Counter[int] = Counter()
    for code, frame in zip(codes.tolist(), frames.tolist(), strict=True):
        shifts.update(other - frame for other in at.get(code, ()))
    return best_shift(shifts)


def best_shift(shifts: Counter[int]) -> Alignment:
    """The Alignment of what was counted: shift to number of codes."""
    best, where = 0, 0
    for shift, number in shifts.items():
        both = number + max(shifts.get(shift + 1, 0), shifts.get(shift - 1, 0))
        if (both, number) > (best, shifts.get(where, 0)):
            best, where = both, shift
    rest = max((n for shift, n in shifts.items() if abs(shift - where) > 2), default=0)
    return Alignment(best, rest, where)


def accepted(votes: int, rest: int, least: int = VOTES, times: float = TIMES) -> bool:
    """Whether so many votes at one shift, and so many at the next best, say: the same recording.

    A number of votes alone does not: the longer a query, the more codes it shares with a stranger by chance.
    But those are spread over many shifts, and those of the right recording stand at one.
    """
    return votes >= least and votes >= times * rest


class Match(NamedTuple):
    """A recording that may be the query's."""

    key: Hashable
    votes: int
    rest: int
    shift: int  # frames from the recording's begin to the query's
    accepted: bool


class FingerprintIndex:
    """Which recording is a query a part of? Codes in a dictionary, votes by shift in time."""

    def __init__(self) -> None:
        self._places: dict[int, list[tuple[Hashable, int]]] = defaultdict(list)
        self._sizes: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return len(self._sizes)

    def add(self, key: Hashable, codes: np.ndarray, frames: np.ndarray) -> None:
        """Add a recording by its fingerprint. Raises WorkshopError when the key is there already."""
        if key in self._sizes:
            raise WorkshopError(f"{key!r} is in the index already.")
        self._sizes[key] = len(codes)
        for code, frame in zip(codes.tolist(), frames.tolist(), strict=True):
            self._places[code].append((key, frame))

    def search(
        self,
        codes: np.ndarray,
        frames: np.ndarray,
        k: int = 3,
        leave_out: Callable[[Hashable], bool] = lambda key: False,
    ) -> list[Match]:
        """The k recordings with the most votes, the most first.

        codes, frames  of the query
        leave_out      says of a key whether its recording is not there: a query becomes a stranger
        """
        shifts: dict[Hashable, Counter[int]] = defaultdict(Counter)
        for code, frame in zip(codes.tolist(), frames.tolist(), strict=True):
            for key, other in self._places.get(code, ()):
                shifts[key][other - frame] += 1
        found = [
            match(key, best_shift(counts)) for key, counts in shifts.items() if not leave_out(key)
        ]
        return sorted(found, key=lambda one: -one.votes)[:k]


def match(key: Hashable, alignment: Alignment) -> Match:
    """The Match of a recording with its alignment."""
    return Match(key, *alignment, alignment.accepted)


def sparse(codes: np.ndarray) -> dict[int, float]:
    """A fingerprint without its times, as a sparse vector: 1 for each code that it has.

    The inner product of two counts the codes that both have. A sound without codes gets a number that no code
    is, since Milvus takes no empty vector.
    """
    return dict.fromkeys(np.unique(codes).tolist(), 1.0) or {0: 1.0}


# ------------------------------------------------------------------------------ a similar sound

PATCH = 187  # frames that musicnn sees at once: 3 seconds
TAGS = [
    "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast", "piano",
    "ambient", "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male", "singing",
    "vocals", "no vocals", "harpsichord", "loud", "quiet", "flute", "woman", "male vocal", "no vocal", "pop",
    "soft", "sitar", "solo", "man", "classic", "choir", "voice", "new age", "dance", "male voice",
    "female vocal", "beats", "harp", "cello", "no voice", "weird", "country", "metal", "female voice", "choral",
]  # fmt: skip
STEADY = (
    1e-4  # of the largest deviation: numbers that change less say nothing of a stranger's sound
)
MAX_PATCHES = 20  # of one sound: of a longer one, so many are taken evenly

# Tags that name something one can hear; the others say what is not there, or how one likes it.
NAMED = [t for t in TAGS if not t.startswith("no ") and t not in {"weird", "fast", "slow", "loud", "solo"}]  # fmt: skip


class SoundEncoder:
    """Sounds to 1,506-d vectors and 50 tags: musicnn (Pons & Serra 2019), trained on MagnaTagATune, ONNX.

    threads  sounds encoded at once; default: the physical cores

    The vector is the layer that pools the network's channels over time: the maximum and the mean of each. The
    loaded model is shared by all encoders of a process, and may be used from any thread. Raises WorkshopError
    when the model file is missing or changed.
    """

    dim = 1506

    def __init__(self, threads: int | None = None) -> None:
        self.threads = physical_cores() if threads is None else threads
        self.session = load_session(MODEL)

    def run(
        self, sounds: Sequence[np.ndarray], progress: bool | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Vectors (n, 1506) as they leave the network, and tags (n, 50) from 0 to 1, both float32.

        sounds    (n,) samples, each as `read` gives them
        progress  show a bar; default: for more than 200 sounds

        Of a sound longer than 3 s, the mean over windows of 3 s; a shorter one is followed by silence.
        """
        vectors = np.empty((len(sounds), self.dim), np.float32)
        tags = np.empty((len(sounds), len(TAGS)), np.float32)
        work = _map(self._run, sounds, self.threads)
        with _bar(len(sounds), "sound", progress) as bar, closing(work) as results:
            for row, (vector, named) in enumerate(results):
                vectors[row], tags[row] = vector, named
                bar.update()
        return vectors, tags

    def _run(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.hear(patches(samples))

    def hear(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The vector (1506,) and the tags (50,) of one sound, of its `patches`."""
        ask = ["pooled", "tags"]
        # One after the other: twenty at once would take 600 MB, which the runtime keeps.
        runs = [self.session.run(ask, {"mel": one[np.newaxis]}) for one in windows]
        pooled, named = (np.concatenate(part).mean(axis=0) for part in zip(*runs, strict=True))
        return pooled, named


def patches(samples: np.ndarray) -> np.ndarray:
    """Windows of 3 seconds as musicnn sees them, float32 (n, 187, 96), n from 1 to 20."""
    needed = (PATCH - 1) * 256 + 1
    if len(samples) < needed:
        samples = np.pad(samples, (0, needed - len(samples)))
    mel = log_mel(samples)
    starts = np.arange(0, len(mel) - PATCH + 1, PATCH)
    if len(starts) > MAX_PATCHES:
        starts = starts[np.linspace(0, len(starts) - 1, MAX_PATCHES).astype(int)]
    return np.stack([mel[start : start + PATCH] for start in starts])


class Scale:
    """Makes all numbers of a vector count alike: minus their mean, divided by their deviation, to length 1.

    vectors  (n, d) that mean and deviation are learnt from

    Numbers that hardly ever change in these vectors become 0. Divided by a deviation of next to nothing, one that
    loud noise moves would outweigh all others, and the cosine with every sound without noise be 0.
    """

    def __init__(self, vectors: np.ndarray) -> None:
        self.mean, self.deviation = vectors.mean(axis=0), vectors.std(axis=0) + 1e-6

    @classmethod
    def of_course(cls) -> "Scale":
        """For vectors of `SoundEncoder`: as learnt from the recordings and phrases of the tuning half."""
        scale = cls.__new__(cls)
        scale.mean, scale.deviation = np.load(io.BytesIO(read_model_file(SCALE)))
        return scale

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Scaled vectors, float32 (n, d), each of length 1."""
        moving = self.deviation >= STEADY * self.deviation.max()
        scaled = np.where(moving, (np.asarray(vectors) - self.mean) / self.deviation, 0)
        lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
        return (scaled / np.maximum(lengths, 1e-9)).astype(np.float32)


def neighbours(vectors: np.ndarray, sources: Sequence[str] | None, k: int = 5) -> np.ndarray:
    """Rows of each sound's k nearest by cosine, best first, int64 (n, k).

    vectors  (n, d) of length 1
    sources  (n,); sounds of the query's own source are left out. None leaves out the query alone
    """
    near = vectors @ vectors.T
    np.fill_diagonal(near, -np.inf)
    if sources is not None:
        near[np.equal.outer(np.asarray(sources), np.asarray(sources))] = -np.inf
    return np.argsort(-near, axis=1, kind="stable")[:, :k]


def precision(found: np.ndarray, kinds: Sequence[str]) -> np.ndarray:
    """For each sound the share of what was found that is of its kind: its p@k, float64 (n,).

    found  (n, k) rows, from `neighbours`
    kinds  (n,)
    """
    kinds = np.asarray(kinds)
    return (kinds[found] == kinds[:, None]).mean(axis=1)


def answerable(kinds: Sequence[str], sources: Sequence[str], least: int = 5) -> np.ndarray:
    """Which sounds have at least so many of their kind from other sources, bool (n,): others cannot be found."""
    kinds, sources = np.asarray(kinds), np.asarray(sources)
    same_kind, same_source = np.equal.outer(kinds, kinds), np.equal.outer(sources, sources)
    return (same_kind & ~same_source).sum(axis=1) >= least


# ------------------------------------------------------------------------------ words


@cache
def _tag_vectors() -> np.ndarray:
    return TextEncoder(threads=1).encode(NAMED)


def in_words(tags: np.ndarray, top: int = 5) -> np.ndarray:
    """Sounds as vectors in the space of words, float32 (n, 384), by `conse` over the tags that name a sound.

    tags  (n, 50) from SoundEncoder.run
    """
    chosen = [TAGS.index(tag) for tag in NAMED]
    return conse(np.asarray(tags)[:, chosen], _tag_vectors(), top)


# ------------------------------------------------------------------------------ what was measured


def measured(half: str = "report") -> dict[str, Any]:
    """What `tools/measure_audio.py` has written down of a half: "cells", "changes" and "rules"."""
    path = SOUNDS / "measured.json"
    try:
        return json.loads(path.read_text("utf-8"))[half]
    except (OSError, ValueError, KeyError) as error:
        raise WorkshopError(
            f"{path} is missing or damaged. Put it back with: git checkout -- data/audio"
        ) from error


# ------------------------------------------------------------------------------ noise


def power(samples: np.ndarray) -> float:
    """The mean square of the samples."""
    return float(np.mean(np.square(samples, dtype=np.float64)))


def add_noise(samples: np.ndarray, noise: np.ndarray, decibels: float) -> np.ndarray:
    """Samples with noise so loud that the signal-to-noise ratio is as asked, float32 (n,).

    noise     (m,), repeated or cut to the length
    decibels  10 · log10(power of the signal / power of the noise): 0 is equally loud, −5 louder noise
    """
    noise = np.resize(noise, len(samples))
    factor = np.sqrt(power(samples) / max(power(noise), 1e-12) / 10 ** (decibels / 10))
    return (samples + factor * noise).astype(np.float32)


def part(samples: np.ndarray, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A part of so many seconds from a random place; all of it if it is shorter."""
    size = int(seconds * RATE)
    start = int(rng.integers(0, max(1, len(samples) - size + 1)))
    return samples[start : start + size]
