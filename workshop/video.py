"""Films: read frame by frame within limits, cut into shots, and looked at for things and people.

    for shot in VideoReader().shots(frames("film.mp4")): ...

Whatever its length, a film takes the memory of some seconds of it: frames come one by one, and a shot
keeps at most `PICTURES` of them.
"""

import io
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from PIL import Image

from workshop.decoding import FileReader, PictureReader
from workshop.encoders import ImageEncoder
from workshop.errors import Stopped, TooLarge, WorkshopError
from workshop.faces import Face, FaceReader
from workshop.objects import NAMES, SURE, ObjectDetector, Thing
from workshop.paths import DATA

FILMS = DATA / "video"

# Formats that hold pictures and sound themselves. A play list would make FFmpeg open what it names.
FORMATS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,ogg,flv,asf"
MAX_SECONDS = 600.0  # of a film
MAX_PIXELS = 9_000_000  # of a frame: 4K has 8.3 million
MAX_FRAMES = 60_000
LONGEST_SIDE = 320  # pixels; no model sees more than 416

EVERY = 0.13  # seconds between two frames that are looked at: every second one at 15 a second
WIDTH = 3  # frames on each side of a possible cut
NEAR = 3  # of cuts that are nearer to each other than so many frames, the clearest counts
CUT = 0.25  # the cosine distance above which it is one; chosen on the tuning films
PICTURES = 32  # that a shot keeps, at most
LOOKS = 3  # pictures of a shot that are searched for things
FACES = 6  # and for faces
MARGIN = 0.25  # seconds at its borders in which it is not looked at: two shots may be mixed there
KINDS = (
    *NAMES,
    *ImageEncoder.class_names,
)  # 1,080 of things: those of the detector and of the image model
SAME_TRACK = 0.1  # cosine distance of two faces in one shot that are one person


class VideoError(WorkshopError):
    """A film that cannot be read. The message names it and says why."""


class VideoTooLarge(VideoError, TooLarge):
    """A film that asks for more than is allowed. The message names the limit it crossed."""


# ------------------------------------------------------------------------------ frames


class Frame(NamedTuple):
    """A picture of a film."""

    time: float  # seconds from the first
    picture: Image.Image  # RGB


def frames(
    source: str | Path | bytes,
    *,
    name: str | None = None,
    every: float = EVERY,
    longest_side: int = LONGEST_SIDE,
    max_seconds: float = MAX_SECONDS,
    max_pixels: int = MAX_PIXELS,
    max_frames: int = MAX_FRAMES,
) -> Iterator[Frame]:
    """The frames of a film, in their order in time, one after another.

    source        a path, or the bytes of a file
    name          what an error calls it; default: the path's last part, or "the film"
    every         seconds from one frame to the next that is given, by the film's own clock; 0 for all
    longest_side  pixels; larger frames are made smaller
    max_seconds   of the film, max_pixels of a frame, max_frames that it has

    Raises VideoTooLarge beyond a limit, before anything is decoded where the file says its size, and
    VideoError for what is no film, has no pictures, or breaks off. The frames before that are right.
    """
    limits = {"max_seconds": max_seconds, "max_pixels": max_pixels, "max_frames": max_frames}
    if isinstance(source, bytes):
        name, file = name or "the film", io.BytesIO(source)
    else:
        name = name or Path(source).name
        if not Path(source).is_file():
            raise VideoError(f"{name}: there is no such file ({str(source)[:200]}).")
        file = str(source)
    try:
        with av.open(file, options=_OPTIONS, metadata_errors="replace") as film:
            yield from _frames(film, name, every, longest_side, limits)
    except av.error.FFmpegError as error:
        raise VideoError(
            f"{name} is no film that is read here: give an MP4, MOV, WebM, MKV, AVI, MPEG, OGG, FLV or WMV "
            "file, in one piece."
        ) from error


# PyAV raises IndexError where a stream turns up that the file's head did not name.
_DAMAGE = (av.error.FFmpegError, IndexError)
_CLOCK = Fraction(1, 1000)  # of films that are written, in seconds
_OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}


def _frames(
    film: av.container.InputContainer,
    name: str,
    every: float,
    longest_side: int,
    limits: dict[str, float],
) -> Iterator[Frame]:
    stream = next(
        (s for s in film.streams.video if not s.disposition & av.stream.Disposition.attached_pic),
        None,
    )
    if stream is None:
        what = "only sound" if film.streams.audio else "nothing that can be seen"
        raise VideoError(f"{name} has no pictures: there is {what} in it.")
    if stream.codec_context is None:
        raise VideoError(f"{name} has pictures in a coding that is not read here. Save it as MP4.")
    _check(name, stream.width, stream.height, _declared(film, stream), limits)
    stream.thread_type = "AUTO"
    first, last, due, count = None, 0.0, 0.0, 0
    for frame in _decoded(film, stream, name):
        count += 1
        if first is None:
            first = frame.time or 0.0
        # A clock that stands still or runs backwards: such a frame comes right after the one before.
        time = max(last, frame.time - first) if frame.time is not None else _by_rate(stream, count)
        last = time
        _check(name, frame.width, frame.height, time, limits)
        if count > limits["max_frames"]:
            raise VideoTooLarge(
                f"{name} has more than {limits['max_frames']:,} frames, the limit here (max_frames). "
                "Cut it into parts."
            )
        if time >= due - 1e-3:
            due = max(due + every, time + every / 2)
            yield Frame(time, _picture(frame, longest_side))
    if not count:
        raise VideoError(f"{name} has no pictures: none can be read from it.")
    declared = _of_stream(film, stream)
    if declared and last < 0.9 * declared - 0.5:
        raise _broken(name, last, f"{declared:.1f} s were announced")


def _decoded(
    film: av.container.InputContainer, stream: av.video.VideoStream, name: str
) -> Iterator[av.VideoFrame]:
    """The frames of a stream; an error in the middle names the place."""
    time = None
    try:
        for frame in film.decode(stream):
            time = frame.time
            yield frame
    except _DAMAGE as error:
        if time is None:
            raise VideoError(f"{name} has no pictures: none can be read from it.") from error
        raise _broken(name, time, "what follows cannot be read") from error


def _broken(name: str, time: float, why: str) -> VideoError:
    return VideoError(
        f"{name} breaks off at {time:.1f} s: {why}. Copy it again from where it came from."
    )


def _by_rate(stream: av.video.VideoStream, count: int) -> float:
    """When a frame without a time comes, in seconds."""
    return (count - 1) / float(stream.average_rate or 25)


def _of_stream(film: av.container.InputContainer, stream: av.video.VideoStream) -> float:
    """Seconds that the pictures last, if the file says so; else 0."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (film.duration or 0) / 1e6 if not film.streams.audio else 0.0


def _declared(film: av.container.InputContainer, stream: av.video.VideoStream) -> float:
    return max(_of_stream(film, stream), (film.duration or 0) / 1e6)


def _check(name: str, width: int, height: int, seconds: float, limits: dict[str, float]) -> None:
    if width * height > limits["max_pixels"]:
        raise VideoTooLarge(
            f"{name} has {width:,} × {height:,} pixels, more than {limits['max_pixels']:,}, the limit here "
            "(max_pixels). Make it smaller first."
        )
    if seconds > limits["max_seconds"]:
        raise VideoTooLarge(
            f"{name} is longer than {limits['max_seconds']:g} s, the limit here (max_seconds). Cut it into parts."
        )


def _picture(frame: av.VideoFrame, longest_side: int) -> Image.Image:
    """A frame as RGB, as a player shows it: turned as the camera was, not larger than asked."""
    scale = min(1.0, longest_side / max(frame.width, frame.height))
    width, height = (max(1, round(side * scale)) for side in (frame.width, frame.height))
    picture = frame.reformat(width, height, "rgb24").to_image()
    return picture.rotate(frame.rotation, expand=True) if frame.rotation else picture


def read(content: bytes, name: str, **options: float) -> Iterator[dict[str, Any]]:
    """For `decoding.FileReader`: the frames as dicts of `time` and `pixels` (h, w, 3) uint8."""
    for frame in frames(content, name=name, **options):
        yield {"time": frame.time, "pixels": np.asarray(frame.picture)}


# ------------------------------------------------------------------------------ shots


def window_distances(vectors: np.ndarray, width: int = WIDTH) -> np.ndarray:
    """How different the frames before and from each place are, (n,) cosine distances, 0 to 2.

    vectors  (n, d) of the frames, of length 1
    width    frames whose mean is taken on each side; where there are fewer, the distance is 0

    The mean over some frames sees a dissolve, which no two neighbours show.
    """
    found = np.zeros(len(vectors))
    for place in range(width, len(vectors) - width + 1):
        before = vectors[place - width : place].mean(axis=0)
        after = vectors[place : place + width].mean(axis=0)
        found[place] = 1 - before @ after / (np.linalg.norm(before) * np.linalg.norm(after))
    return found


def peaks(distances: Sequence[float], threshold: float = CUT, near: int = NEAR) -> list[int]:
    """Places whose distance is above a threshold and the greatest within `near` places: the cuts.

    Of equal ones the first counts.
    """
    found = []
    for place, distance in enumerate(distances):
        before = distances[max(0, place - near) : place]
        after = distances[place + 1 : place + near + 1]
        greatest = all(d < distance for d in before) and all(d <= distance for d in after)
        if distance > threshold and greatest:
            found.append(place)
    return found


class Sample(NamedTuple):
    """A frame that was looked at."""

    time: float
    picture: Image.Image
    look: np.ndarray  # (1280,) of the image model, length 1
    seen: np.ndarray  # (1000,) probabilities of its classes


@dataclass
class Track:
    """One person in one shot."""

    faces: list[tuple[float, Face]] = field(default_factory=list)  # with their times

    @property
    def vector(self) -> np.ndarray:
        """The mean of its three surest faces, (128,), length 1."""
        best = sorted((face for _, face in self.faces), key=lambda face: -face.score)[:3]
        mean = np.mean([face.vector for face in best], axis=0)
        return mean / np.linalg.norm(mean)


@dataclass
class Shot:
    """What was filmed in one go.

    start, end   seconds in the film
    look         (1280,) the mean of its frames, length 1
    seen         (1000,) the mean of the image model's class probabilities
    frames       some of its frames, at most `PICTURES`
    things       what was seen in some of them, with the times
    tracks       the people whose faces were seen
    """

    start: float
    end: float
    look: np.ndarray
    seen: np.ndarray
    frames: list[Frame]
    things: list[tuple[float, Thing]] = field(default_factory=list)
    tracks: list[Track] = field(default_factory=list)

    @property
    def still(self) -> Frame:
        """The frame in its middle."""
        return self.frames[len(self.frames) // 2]

    @property
    def names(self) -> dict[str, float]:
        """Each kind of thing with its best score, the surest first."""
        best: dict[str, float] = {}
        for _, thing in self.things:
            best[thing.name] = max(thing.score, best.get(thing.name, 0))
        return dict(sorted(best.items(), key=lambda item: -item[1]))

    @property
    def kinds(self) -> np.ndarray:
        """How surely each of `KINDS` is in it, (1080,), length 1."""
        found = [self.names.get(name, 0.0) for name in NAMES]
        vector = np.concatenate([found, self.seen]).astype(np.float32)
        return vector / np.linalg.norm(vector)

    def mp4(self) -> bytes:
        """Its frames as a small silent film, H.264 in MP4."""
        return write_film(self.frames)


def named(text: str) -> np.ndarray:
    """Which of `KINDS` a text names, (1080,) float32 of 0 and 1: "a guitar" names two.

    A kind that is called just so counts alone: "dog" is not the hot dog.
    """
    words = set(re.findall(r"[\w-]+", text.lower())) - {"a", "an", "the", "some"}
    names = [set(re.findall(r"[\w-]+", name.lower())) for name in KINDS]
    found = [words == name for name in names]
    if not any(found):
        found = [bool(words) and words <= name for name in names]
    return np.array(found, np.float32)


class _Growing:
    """A shot that is not over yet: sums, and some of its frames."""

    def __init__(self) -> None:
        self.count, self.look, self.seen = 0, 0.0, 0.0
        self.frames: list[Frame] = []
        self._step = 1

    def add(self, sample: Sample) -> None:
        self.look, self.seen = self.look + sample.look, self.seen + sample.seen
        if self.count % self._step == 0:
            self.frames.append(Frame(sample.time, sample.picture))
        self.count += 1
        if len(self.frames) > PICTURES:
            self.frames, self._step = self.frames[::2], 2 * self._step
        self.end = sample.time

    def shot(self, end: float) -> Shot:
        look = self.look / np.linalg.norm(self.look)
        return Shot(self.frames[0].time, end, look, self.seen / self.count, self.frames)


def split(
    samples: Iterable[Sample], threshold: float = CUT, width: int = WIDTH, near: int = NEAR
) -> Iterator[Shot]:
    """The shots of a film, each as soon as it is over; as `peaks` of `window_distances` has them.

    It remembers 2 × `width` + 2 × `near` samples, and not the film.
    """
    shot, waiting = _Growing(), deque()
    vectors: deque[np.ndarray] = deque(maxlen=2 * width)
    distances: deque[float] = deque([0.0] * near, maxlen=2 * near + 1)

    def settle() -> Iterator[Shot]:
        """Decide on the oldest sample that waits: does a shot begin with it?"""
        nonlocal shot
        sample = waiting.popleft()
        if near in peaks(list(distances), threshold, near):
            yield shot.shot(sample.time)
            shot = _Growing()
        shot.add(sample)

    # A sample's distance is known `width` samples later, and whether it is a peak `near` after that.
    for number, sample in enumerate(samples):
        waiting.append(sample)
        vectors.append(sample.look)
        if number >= width - 1:
            full = len(vectors) == 2 * width
            distances.append(window_distances(np.array(vectors), width)[width] if full else 0.0)
        if number >= width - 1 + near:
            yield from settle()
    while waiting:
        distances.append(0.0)
        if len(distances) > near + 1:
            yield from settle()
    if shot.count:
        yield shot.shot(shot.end)


# ------------------------------------------------------------------------------ people


def tracks(faces: Iterable[tuple[float, Face]]) -> list[Track]:
    """Which faces of one shot are the same person, longest first.

    faces   with their times, in the order of time

    A face joins the track that is most like it, if that is near enough; two faces of one frame are
    two people.
    """
    found: list[Track] = []
    for time, face in faces:
        free = [track for track in found if track.faces[-1][0] < time]
        best = min(free, key=lambda track: 1 - track.vector @ face.vector, default=None)
        if best is None or 1 - best.vector @ face.vector > SAME_TRACK:
            best = Track()
            found.append(best)
        best.faces.append((time, face))
    return sorted(found, key=lambda track: -len(track.faces))


class VideoReader:
    """Looks at films: what it looks like, which things and which people are in each shot.

    images, things, people   the models, if they are there already
    sure                     the least score of a thing

    May be used from any thread. Raises WorkshopError when a model file is missing or changed.
    """

    def __init__(
        self,
        images: ImageEncoder | None = None,
        things: ObjectDetector | None = None,
        people: FaceReader | None = None,
        sure: float = SURE,
    ) -> None:
        self.images = images or ImageEncoder()
        self.things = things or ObjectDetector()
        self.people = people or FaceReader()
        self.sure = sure

    def samples(self, film: Iterable[Frame], batch: int = 8) -> Iterator[Sample]:
        """The frames with what the image model makes of them."""
        film = iter(film)
        error = None
        while error is None:
            some = []
            try:
                while len(some) < batch and (frame := next(film, None)):
                    some.append(frame)
            except VideoError as broken:  # what came before it counts
                error = broken
            if some:
                looks, seen = self.images.run([frame.picture for frame in some], progress=False)
                yield from map(Sample, *zip(*some, strict=True), looks, seen)
            elif error is None:
                return
        raise error

    def shots(self, film: Iterable[Frame]) -> Iterator[Shot]:
        """The shots of a film with their things and people, each as soon as it is over."""
        for shot in split(self.samples(film)):
            self.look_at(shot)
            yield shot

    def look_at(self, shot: Shot) -> None:
        """Find the things and the people of a shot in some of its frames."""
        first, last = shot.start + MARGIN, shot.end - MARGIN
        clear = [frame for frame in shot.frames if first <= frame.time <= last] or [shot.still]
        for time, picture in spread(clear, LOOKS):
            shot.things += [(time, thing) for thing in self.things.find(picture, self.sure)]
        shot.tracks = tracks(
            (time, face)
            for time, picture in spread(clear, FACES)
            for face in self.people.faces(picture)
        )


def spread(items: Sequence[Any], count: int) -> list[Any]:
    """Up to `count` items, evenly spread, none twice: the middles of equal parts."""
    count = min(count, len(items))
    return [items[int((part + 0.5) * len(items) / count)] for part in range(count)]


PICTURE = re.compile(
    rb"\xff\xd8|\x89PNG|GIF8|RIFF....WEBP|II\*\0|MM\0\*|BM|P[1-6]\s|....ftyp(avi|mif)", re.DOTALL
)


class FilmReader:
    """Looks at strangers' films, read in processes that can be ended; each looks as `VideoReader` does.

    video        what looks at them
    processes    files read at once; others wait for their turn
    films        limits of `frames`, by name: max_seconds, max_pixels, max_frames
    max_scans    passes over the pixels of a picture
    max_decode_seconds  of a processor's time, and
    max_decode_bytes    of memory, that one file may take

    May be used from any thread. `close()` ends the processes.
    """

    def __init__(
        self,
        video: VideoReader,
        processes: int,
        films: dict[str, float],
        max_scans: int,
        max_decode_seconds: float,
        max_decode_bytes: int,
    ) -> None:
        self.video = video
        limits = {"max_seconds": max_decode_seconds, "max_bytes": max_decode_bytes}
        words = {"kind": "films", "program": "a video program"}
        errors = {"refusal": VideoError, "too_large": VideoTooLarge}
        self._films = FileReader(
            "workshop.video:read", processes, options=films, **words, **errors, **limits
        )
        pixels = {"max_pixels": films["max_pixels"], "max_scans": max_scans}
        self._pictures = PictureReader(processes, **pixels, **limits)

    def shots(self, content: bytes, name: str, stopped: Callable[[], bool]) -> Iterator[Shot]:
        """The shots of a film, each as soon as it is over; for the arguments see `FileReader.stream`.

        Raises VideoTooLarge beyond a limit, VideoError for what cannot be read, and Stopped.
        """

        def film() -> Iterator[Frame]:
            for frame in self._films.stream(content, name, stopped):
                if stopped():
                    raise Stopped
                yield Frame(frame["time"], Image.fromarray(frame["pixels"]))

        return self.video.shots(film())

    def shot(self, content: bytes, name: str, stopped: Callable[[], bool]) -> Shot:
        """The longest shot of a film, or a picture as a shot. Raises ImageError and ImageTooLarge too."""
        if not PICTURE.match(content):
            return max(self.shots(content, name, stopped), key=lambda shot: shot.end - shot.start)
        picture = self._pictures.read(content, name, stopped)
        return next(self.video.shots([Frame(0.0, picture)]))

    def close(self) -> None:
        """End the processes; what they are reading is Stopped."""
        self._films.close()
        self._pictures.close()


# ------------------------------------------------------------------------------ writing


def write_film(film: Iterable[Frame], crf: int = 27) -> bytes:
    """Frames as a silent film, H.264 in MP4; all as large as the first, its sides made even.

    crf   the quality: a smaller number is better and larger
    """
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = None
        for time, picture in film:
            if stream is None:
                stream = out.add_stream("libx264", rate=30, options={"crf": str(crf)})
                stream.width, stream.height = (max(2, side // 2 * 2) for side in picture.size)
                stream.pix_fmt, base = "yuv420p", time
                stream.codec_context.thread_count = 1  # the same frames give the same bytes
                stream.time_base = stream.codec_context.time_base = _CLOCK
            frame = av.VideoFrame.from_image(picture.resize((stream.width, stream.height)))
            frame.pts, frame.time_base = round((time - base) / _CLOCK), _CLOCK
            out.mux(stream.encode(frame))
        if stream is None:
            raise VideoError("There is no frame to write: give at least one.")
        out.mux(stream.encode(None))
    return file.getvalue()
