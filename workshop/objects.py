"""Things in a picture, by name and place: NanoDet, 80 kinds of things, run by ONNX Runtime.

`tools/export_video_models.py` made the model; `data/models/models.json` says from what and how.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from workshop.encoders import load_session

MODEL = "nanodet.onnx"
SIZE = 416  # pixels, the side of the square that the model sees
STRIDES = (8, 16, 32)  # pixels between the places at which it looks, on three grids
BINS = 11  # a side of a box lies 0 to 10 strides from the place: how likely is each
MEAN = np.array([103.53, 116.28, 123.675], np.float32)  # of blue, green and red, in its training
STD = np.array([57.375, 57.12, 58.395], np.float32)
SURE = 0.5  # the score from which a thing counts; chosen on the tuning films
OVERLAP = 0.5  # two boxes of one kind that share more than this are the same thing
SAME_PLACE = 0.7  # and two of any kinds that share more than this: a horse is no bird as well

# The 80 kinds of COCO (Lin et al. 2014), in the model's order.
_NAMES = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,"
    "parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,"
    "handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,baseball glove,"
    "skateboard,surfboard,tennis racket,bottle,wine glass,cup,fork,knife,spoon,bowl,banana,apple,"
    "sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed,"
    "dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,"
    "refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush"
)
NAMES = _NAMES.split(",")


class Thing(NamedTuple):
    """Something seen in a picture."""

    name: str  # one of NAMES
    score: float  # 0 to 1
    box: tuple[float, float, float, float]  # left, top, right, bottom, in pixels


def iou(box: Sequence[float], boxes: np.ndarray) -> np.ndarray:
    """Intersection over union of a box (4,) with each of boxes (n, 4): 1 the same, 0 apart."""
    box = np.asarray(box, float)
    inner = np.concatenate(
        [np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])], axis=1
    )
    shared = _areas(inner)
    return shared / np.maximum(_areas(box[None]) + _areas(boxes) - shared, 1e-9)


def _areas(boxes: np.ndarray) -> np.ndarray:
    return np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)


def suppress(boxes: np.ndarray, scores: np.ndarray, overlap: float = OVERLAP) -> list[int]:
    """Non-maximum suppression: rows of the boxes that stay, best first.

    boxes    (n, 4) left, top, right, bottom
    scores   (n,)
    overlap  a box that shares more than this (`iou`) with a better one goes
    """
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(int(best))
        order = order[iou(boxes[best], boxes[order]) <= overlap]
    return kept


def decode(outputs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (n, 4) in pixels of the model's square, and scores (n, 80), of what it answers.

    outputs  for each stride scores (1, m, 80), and for each stride sides (1, m, 44)

    NanoDet (2020) learns a side as odds of its distance, eleven a side (Li et al. 2020,
    "Generalized Focal Loss"); the distance is their mean.
    """
    boxes, scores = [], []
    for stride in STRIDES:
        grid = SIZE // stride
        (kinds,) = (o[0] for o in outputs if o.shape[1:] == (grid * grid, len(NAMES)))
        (sides,) = (o[0] for o in outputs if o.shape[1:] == (grid * grid, 4 * BINS))
        odds = np.exp(sides.reshape(-1, 4, BINS) - sides.max(axis=1)[:, None, None])
        far = stride * (odds @ np.arange(BINS, dtype=np.float32)) / odds.sum(axis=2)
        y, x = (stride * (axis + 0.5) for axis in np.divmod(np.arange(grid * grid), grid))
        boxes.append(np.stack([x - far[:, 0], y - far[:, 1], x + far[:, 2], y + far[:, 3]], axis=1))
        scores.append(kinds)
    return np.clip(np.concatenate(boxes), 0, SIZE), np.concatenate(scores)


class ObjectDetector:
    """Finds things in pictures: NanoDet at 416 pixels, trained on COCO's 80 kinds.

    The loaded model is shared by all detectors of a process, and may be used from any thread.
    Raises WorkshopError when the model file is missing or changed.
    """

    def __init__(self) -> None:
        self.session = load_session(MODEL)

    @staticmethod
    def pixels(picture: Image.Image) -> np.ndarray:
        """What the model sees, float32 (1, 3, 416, 416): the picture's sides stretched to a square."""
        square = np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BILINEAR), np.float32)
        blue_first = (square[..., ::-1] - MEAN) / STD
        return np.ascontiguousarray(blue_first.transpose(2, 0, 1)[None])

    def run(self, picture: Image.Image) -> list[np.ndarray]:
        """What the model answers for an RGB picture; `decode` reads it."""
        (feed,) = self.session.get_inputs()
        return self.session.run(None, {feed.name: self.pixels(picture)})

    def find(self, picture: Image.Image, sure: float = SURE) -> list[Thing]:
        """The things in an RGB picture, the surest first.

        sure   the least score
        """
        boxes, scores = decode(self.run(picture))
        boxes = boxes * (np.array([*picture.size, *picture.size]) / SIZE)
        things = []
        for kind in np.flatnonzero(scores.max(axis=0) > sure):
            rows = np.flatnonzero(scores[:, kind] > sure)
            for row in rows[suppress(boxes[rows], scores[rows, kind])]:
                box = tuple(boxes[row].round(1).tolist())
                things.append(Thing(NAMES[kind], float(scores[row, kind]), box))
        things.sort(key=lambda thing: -thing.score)
        if not things:
            return []
        all_boxes, all_scores = (np.array([t[field] for t in things]) for field in (2, 1))
        return [things[row] for row in suppress(all_boxes, all_scores, SAME_PLACE)]
