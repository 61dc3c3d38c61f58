"""Faces in a picture, and a vector for each: BlazeFace finds, FaceMesh checks, dlib's network tells apart.

`tools/export_video_models.py` made the models; `data/models/models.json` says from what and how. They
are for people who agreed to it, or who do not exist: all people in the course's films are made by AI.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from workshop.encoders import load_session
from workshop.objects import iou

DETECTOR = "blazeface.onnx"
MESH = "facemesh.onnx"
RECOGNISER = "dlib-face.onnx"
DIM = 128

DETECTOR_SIZE = 192  # pixels, the side of the square that BlazeFace sees
MESH_SIZE = 192  # pixels, of the square around one face that FaceMesh sees
CHIP_SIZE = 150  # pixels, of the square in which dlib's network wants a face
OVERLAP = 0.3  # boxes that share more than this are the same face
# The gate: what is let through to become a vector.
SURE = 0.85  # BlazeFace's score
REAL = 0.9  # FaceMesh's: is it a face at all
EYES = 24.0  # pixels between the outer corners of the eyes, at least
FRONTAL = 0.3  # the nose may lie so far from the middle between the eyes; 0.5 is about a profile
# Cosine distance up to which two tracks are one person: 0.0553 by the rule of chapter 13, on the
# tuning films. It belongs to this network, this alignment and this distance.
SAME = 0.055

# Where dlib's training had these five points, in a square of 1: outer and inner corner of the left
# eye, outer and inner corner of the right eye (left and right of the person), base of the nose.
FIVE = np.array(
    [[0.8596, 0.2135], [0.6460, 0.2290], [0.1206, 0.2137], [0.3341, 0.2291], [0.4901, 0.6278]]
)
MARGIN = 0.15  # around these; dlib's own 0.25 tells people apart less well on the tuning films
ROOM = (1, 2)  # BlazeFace looks twice, the second time from afar: it has not learnt close-ups
MESH_POINTS = [263, 362, 33, 133, 2]  # the same five among FaceMesh's 468


class Face(NamedTuple):
    """A face that has passed the gate."""

    score: float  # BlazeFace's, 0 to 1
    box: tuple[float, float, float, float]  # left, top, right, bottom, in pixels
    points: np.ndarray  # (468, 2) FaceMesh's, in pixels
    vector: np.ndarray  # (128,) float32, L2-normalised


class Found(NamedTuple):
    """A face as BlazeFace finds it; it may be none."""

    score: float
    box: np.ndarray  # (4,) left, top, right, bottom, in pixels
    points: np.ndarray  # (6, 2) right eye, left eye, nose, mouth, right ear, left ear


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -80, 80)))


def warp(picture: Image.Image, points: np.ndarray, to: np.ndarray, size: int) -> Image.Image:
    """A square of a picture, turned and scaled so that some points lie where they should.

    points   (n, 2) in the picture, n at least 2
    to       (n, 2) where they should lie in the square, in pixels
    size     of the square's sides, in pixels
    """
    back = np.linalg.inv(similarity(points, to))
    shrink = int(np.hypot(back[0, 0], back[1, 0]))
    if shrink > 1:  # Pillow's transform looks at four pixels only
        picture = picture.reduce(shrink)
        back[:2] /= shrink
    box = (size, size)
    return picture.transform(
        box, Image.Transform.AFFINE, tuple(back[:2].ravel()), Image.Resampling.BILINEAR
    )


def similarity(points: np.ndarray, to: np.ndarray) -> np.ndarray:
    """The turn, scale and shift, (3, 3), that takes points (n, 2) nearest to others (Umeyama 1991)."""
    points, to = np.asarray(points, float), np.asarray(to, float)
    middle, to_middle = points.mean(axis=0), to.mean(axis=0)
    a, b = points - middle, to - to_middle
    u, s, v = np.linalg.svd(b.T @ a)
    flip = np.array([1, np.sign(np.linalg.det(u) * np.linalg.det(v))])
    turn = (s * flip).sum() / (a**2).sum() * (u * flip) @ v
    matrix = np.eye(3)
    matrix[:2, :2] = turn
    matrix[:2, 2] = to_middle - turn @ middle
    return matrix


class FaceReader:
    """Finds faces in pictures and gives each a vector.

    The loaded models are shared by all readers of a process, and may be used from any thread.
    Raises WorkshopError when a model file is missing or changed.
    """

    dim = DIM

    def __init__(self) -> None:
        self.detector = load_session(DETECTOR)
        self.mesh = load_session(MESH)
        self.recogniser = load_session(RECOGNISER)
        grid = DETECTOR_SIZE // 4
        y, x = np.divmod(np.arange(grid * grid), grid)
        self._anchors = (np.stack([x, y], axis=1) + 0.5) / grid

    def faces(self, picture: Image.Image) -> list[Face]:
        """The faces of an RGB picture that pass the gate, from left to right."""
        passed = []
        for found in self.detect(picture, SURE):
            points, real = self.landmarks(picture, found)
            if real > REAL and is_frontal(points) and eye_distance(points) > EYES:
                chip = align(picture, points)
                # A face and its mirror image are one person: their mean errs less than either.
                vector = self.describe(chip) + self.describe(ImageOps.mirror(chip))
                box = tuple(found.box.round(1).tolist())
                passed.append(Face(found.score, box, points, vector / np.linalg.norm(vector)))
        return sorted(passed, key=lambda face: face.box[0])

    def detect(self, picture: Image.Image, sure: float = 0.5) -> list[Found]:
        """What looks like a face to BlazeFace (Bazarevsky et al. 2019, full range), the surest first.

        sure   the least score
        """
        scores, points = [], []
        for room in ROOM:
            pixels, scale, offset = self.square(picture, room)
            (feed,) = self.detector.get_inputs()
            outputs = {o.shape[-1]: o[0] for o in self.detector.run(None, {feed.name: pixels})}
            odds = _sigmoid(outputs[1][:, 0])
            rows = np.flatnonzero(odds > sure)
            sides = outputs[16][rows].astype(float) / DETECTOR_SIZE
            middle, half = sides[:, :2] + self._anchors[rows], sides[:, 2:4] / 2
            corners = np.stack([middle - half, middle + half], axis=1)
            six = sides[:, 4:].reshape(-1, 6, 2) + self._anchors[rows, None]
            both = np.concatenate([corners, six], axis=1)
            scores.append(odds[rows])
            points.append((both * DETECTOR_SIZE - offset) / scale)
        return _merged(np.concatenate(scores), np.concatenate(points))

    @staticmethod
    def square(picture: Image.Image, room: float = 1) -> tuple[np.ndarray, float, tuple[int, int]]:
        """What BlazeFace sees, float32 (1, 192, 192, 3), on black; and the scale and shift of it.

        room   how many times as long as the picture the square's sides are
        """
        scale = DETECTOR_SIZE / (room * max(picture.size))
        width, height = (max(1, round(side * scale)) for side in picture.size)
        square = Image.new("RGB", (DETECTOR_SIZE, DETECTOR_SIZE))
        offset = ((DETECTOR_SIZE - width) // 2, (DETECTOR_SIZE - height) // 2)
        square.paste(picture.resize((width, height), Image.Resampling.BILINEAR), offset)
        return np.asarray(square, np.float32)[None] / 127.5 - 1, scale, offset

    def landmarks(self, picture: Image.Image, found: Found) -> tuple[np.ndarray, float]:
        """468 points of a face, (468, 2) in pixels, and how likely it is one, 0 to 1.

        By FaceMesh (Kartynnik et al. 2019).
        """
        square, back = self.around(picture, found)
        (feed,) = self.mesh.get_inputs()
        outputs = {o.size: o.ravel() for o in self.mesh.run(None, {feed.name: square})}
        points = outputs[3 * 468].reshape(-1, 3)[:, :2].astype(float)
        return points @ back[:2, :2].T + back[:2, 2], float(_sigmoid(outputs[1][0]))

    @staticmethod
    def around(picture: Image.Image, found: Found) -> tuple[np.ndarray, np.ndarray]:
        """What FaceMesh sees, float32 (1, 192, 192, 3), and the way back to the picture, (3, 3).

        A square around the box that is half as large again, turned so that the eyes are level.
        """
        along = found.points[1] - found.points[0]
        along = along / max(1e-6, np.linalg.norm(along))
        across = np.array([-along[1], along[0]])
        middle = (found.box[:2] + found.box[2:]) / 2
        half = 1.5 / 2 * (found.box[2:] - found.box[:2]).max()
        corners = middle + half * np.array([-along - across, along - across, -along + across])
        to = MESH_SIZE * np.array([[0, 0], [1, 0], [0, 1]])
        square = np.asarray(warp(picture, corners, to, MESH_SIZE), np.float32)[None] / 255
        return square, np.linalg.inv(similarity(corners, to))

    def describe(self, chip: Image.Image) -> np.ndarray:
        """dlib's vector (128,) of a face in a square of 150 pixels, as `align` cuts it; not normalised."""
        (feed,) = self.recogniser.get_inputs()
        return self.recogniser.run(None, {feed.name: np.asarray(chip, np.float32)[None]})[0][0]


def align(picture: Image.Image, points: np.ndarray) -> Image.Image:
    """A face in a square of 150 pixels: eyes and nose where dlib's network has learnt them.

    points   (468, 2) FaceMesh's
    """
    to = CHIP_SIZE * (FIVE + MARGIN) / (1 + 2 * MARGIN)
    return warp(picture, points[MESH_POINTS], to, CHIP_SIZE)


def eye_distance(points: np.ndarray) -> float:
    """Pixels between the outer corners of the eyes of FaceMesh's points (468, 2)."""
    return float(np.linalg.norm(points[263] - points[33]))


def is_frontal(points: np.ndarray) -> bool:
    """Whether the tip of the nose lies near the middle between the eyes, seen along the eyes' line."""
    along = points[263] - points[33]
    place = (points[1] - points[33]) @ along / max(1e-6, along @ along)
    return bool(abs(place - 0.5) < FRONTAL)


def _merged(scores: np.ndarray, points: np.ndarray) -> list[Found]:
    """Neighbours that see the same face as one, weighted by their scores, as MediaPipe does it.

    points   (n, 8, 2) two corners of the box and six points of the face
    """
    order = np.argsort(-scores, kind="stable")
    boxes, found = points[:, :2].reshape(-1, 4), []
    while len(order):
        same = iou(boxes[order[0]], boxes[order]) > OVERLAP
        same[0] = True  # also a box without area
        group, order = order[same], order[~same]
        mean = np.average(points[group], axis=0, weights=scores[group])
        found.append(Found(float(scores[group[0]]), mean[:2].ravel(), mean[2:]))
    return found
