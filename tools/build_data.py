"""Makes data/images: the photo set, as WebP files and one table, from a Debian package.

    python tools/build_data.py            fetch the package, write data/images
    python tools/build_data.py FILE.deb   the same from a package that is already here
    python tools/build_data.py --check    compare the committed files with the table, write nothing

Needs `apt-get` and `dpkg-deb` (any Debian or Ubuntu) unless it only checks. The same package and the
same Pillow give the same bytes.
"""

import csv
import hashlib
import io
import re
import subprocess
import sys
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path

from PIL import Image

PACKAGE = "tuxpaint-stamps-default"
VERSION = "2022.06.04-1"
PACKAGE_SHA256 = "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34"
OUT = Path(__file__).resolve().parent.parent / "data" / "images"
COLUMNS = ["id", "file", "name", "name_zh", "category", "kind", "licence", "credit", "sha256"]
SIZE = 256  # longest side; the image encoder reads 224
QUALITY = 85

# Where the caption is a sentence, tells a joke, or is wrong: a name in each language. An empty Chinese
# name means that the package has none that names the picture.
NAMES = {
    "animals/birds/albino_peahen": ("Albino peahen", "白色的母孔雀"),
    "animals/fish/bluegroper": ("Blue groper", "藍色的鱸魚"),
    "animals/fish/lionfish": ("Lionfish", "獅子魚"),
    "animals/fish/lobster": ("Spiny lobster", "龍蝦"),
    "animals/fish/seahorse": ("Seahorse", "海馬"),  # the package says "pear"
    "animals/fish/shrimp": ("Shrimp", "蝦"),  # the package says "star"
    "animals/insects/hoverfly": ("Hoverfly", "食蚜蠅"),
    "animals/mammals/bovines/gnu-baby*": ("Baby gnu", "小牛羚"),
    "animals/mammals/bovines/mountaingoat": ("Mountain goat", "洛基山山羊"),
    "animals/mammals/bovines/sheep_lamb": ("Lamb", "羔羊"),
    "animals/mammals/bovines/yak": ("Yak", ""),
    "animals/mammals/rodents/capybara": ("Sleeping capybara", "在睡覺的水豚"),
    "clothes/t_tshirt": ("T-shirt", ""),
    "food/fruit/avocado": ("Avocado", "鱷梨"),
    "food/fruit/cherimoya": ("Cherimoya", "鳳梨釋迦"),
    "food/fruit/orange_seville": ("Seville orange", "塞維利亞橙"),
    "food/spices/ginger": ("Ginger root", "老薑"),
    "food/vegetables/broccoli": ("Broccoli", "花椰菜"),
    "food/vegetables/tomato": ("Red tomato", "紅蕃茄"),
    "household/arttools/pen_dryerase": ("Dry erase marker", ""),  # the package says "eraser"
    "household/toilet": ("Toilet", "馬桶"),
    "household/wheelie_bin": ("Wheelie bin", "垃圾筒"),
    "medical/stethoscope": ("Stethoscope", "聽診器"),
    "military/ammunition/old_naval_shell": ("Naval shell", ""),
    "military/final-roll-call": ("Soldier's memorial", ""),
    "military/vehicles/bradley": ("Bradley fighting vehicle", "布萊德雷 M-3 騎兵戰車"),
    "military/vehicles/infantry-stryker": ("Stryker armoured vehicle", "裝甲運兵車"),
    "military/vehicles/ww2_german_gun": ("Gun of the Second World War", ""),
    "naturalforces/explosion": ("Explosion", "爆炸"),
    "naturalforces/fire": ("Fire", "火"),
    "people/body_parts/eye": ("Eye", ""),
    "people/toys/grannysmith": ("Rag doll", "布娃娃"),
    "plants/flowers/adeenia": ("Desert rose", "沙漠玫瑰"),
    "plants/flowers/appooppanthady": ("Indian milkweed", "印度乳草"),
    "plants/lavender": ("Lavender", "薰衣草"),
    "plants/mushrooms/cep-2": ("Two ceps", "蘑菇"),
    "plants/trees/birch": ("Birch in winter", "冬天的白樺樹"),
    "plants/trees/holly_leaves": ("Holly leaves", "冬青樹的葉子"),
    "plants/trees/rambutan": ("Rambutan", ""),  # the package says "an alien tree"
    "seasonal/christmas/Candy_cane_photo_*": ("Candy cane", "糖果枴杖"),
    "seasonal/christmas/Christmas_pudding": ("Christmas pudding", "聖誔布丁"),
    "seasonal/christmas/German_Christmas_toy": ("Wooden smoking man", "木製玩具"),
    "seasonal/christmas/Mince_Pie": ("Mince pie", ""),
    "seasonal/christmas/Roast_turkey": ("Roast turkey", "烤火雞"),
    "seasonal/christmas/hard_candy": ("Hard candy", "糖果"),
    "seasonal/easter/wrapped_chocolate_easter_egg*": ("Chocolate Easter egg", "巧克力的復活節蛋"),
    "seasonal/halloween/grave-h": ("Tombstone", "墓石"),
    "seasonal/hanukkah/dreydl-gimmel": ("Dreidel with gimel", ""),
    "seasonal/hanukkah/dreydl-hay": ("Dreidel with hei", ""),
    "seasonal/hanukkah/dreydl-nun": ("Dreidel with nun", ""),
    "seasonal/hanukkah/dreydl-shin": ("Dreidel with shin", ""),
    "seasonal/hanukkah/menorah": ("Menorah", "光明節的九燈燭臺"),
    "seasonal/newyears/fireworks*": ("Fireworks", "煙火"),
    "space/apollo_lander": ("Apollo lunar lander", "登月小艇"),
    "space/moon/moon_3qt": ("Gibbous moon", "月亮"),
    "space/moon/moon_crescent": ("Crescent moon", "上弦月"),
    "space/planets/0_sun": ("Sun", "太陽"),
    "space/planets/1_mercury": ("Mercury", "水星"),
    "space/planets/2_venus": ("Venus", "金星"),
    "space/planets/3_earth": ("Earth", "地球"),
    "space/planets/4_mars": ("Mars", "火星"),
    "space/planets/5_jupiter": ("Jupiter", "木星"),
    "space/planets/6_saturn": ("Saturn", "土星"),
    "space/planets/7_uranus": ("Uranus", "天王星"),
    "space/planets/8_neptune": ("Neptune", "海王星"),
    "space/planets/9_pluto": ("Pluto", "冥王星"),
    "space/spacewalk": ("Astronaut on a spacewalk", "太空人在太空漫步"),
    "space/voyager2": ("Voyager 2 space probe", "航海家 2 號外太空探測"),
    "sports/australian_rules_football": ("Australian rules football", ""),
    "town/monuments/inukshuk-outline": ("Inukshuk, drawn", "印努克豎刻"),
    "town/monuments/inukshuk-photo": ("Inukshuk", "印努克豎刻"),
    "town/roadsigns/arrow": ("Arrow sign", "遵行方向"),
    "town/roadsigns/crossroads": ("Crossroads sign", "十字路口"),
    "town/roadsigns/dead_end_sign": ("Dead end sign", "此路不通"),
    "town/roadsigns/give_way_sign": ("Give way sign", "讓路"),
    "town/roadsigns/hospital": ("Hospital sign", "醫院"),
    "town/roadsigns/no_entry_sign": ("No entry sign", "無勿進入"),
    "town/roadsigns/no_uturn": ("No U-turn sign", "禁止迴轉"),
    "town/roadsigns/roundabout": ("Roundabout sign", "繞圈子"),
    "town/roadsigns/school_sign": ("School sign", "前有學校"),
    "town/roadsigns/stop": ("Stop sign", "停車號誌"),
    "town/roadsigns/stoplight_01_red": ("Red traffic light", "紅燈"),
    "town/roadsigns/stoplight_02_yellow": ("Yellow traffic light", "黃燈"),
    "town/roadsigns/stoplight_03_green": ("Green traffic light", "綠燈"),
    "town/roadsigns/t-junction": ("T-junction sign", "T 字路口"),
    "town/roadsigns/toilets": ("Toilets sign", "洗手間"),
    "town/roadsigns/xing_ped": ("Pedestrian crossing sign", "行人穿越道"),
    "town/roadsigns/xing_school": ("School crossing sign", "學校穿越道"),
    "town/roadsigns/yield": ("Yield sign", ""),  # the package says "give up"
    "town/uk_post_box": ("UK post box", "英國郵筒"),
    "vehicles/7spoke256": ("Car wheel", "輪胎"),
    "vehicles/auto/sportscar2": ("Sports car", "跑車"),  # the package says "race car"
    "vehicles/construction/dumper": ("Dumper", "堆土車"),
    "vehicles/emergency/sedan_police": ("Police car emblems", "警車的標誌"),
}

# Drawn, painted or rendered, though their folder is not called "cartoon": told from photos by eye.
DRAWN = [
    "animals/insects/bee",
    "animals/insects/fly",
    "animals/mammals/echidna",
    "animals/mammals/hedgehog",
    "clothes/button",
    "clothes/hats/*",
    "clothes/t_*",
    "food/pizza",
    "hobbies/music/string/guitar2",
    "household/dishes/glass",
    "medical/tooth",
    "naturalforces/lightningbolt",
    "people/body_parts/eye",
    "seasonal/christmas/Santa",
    "seasonal/christmas/[a-w]*",
    "seasonal/christmas/xmas_tp_bulb",
    "seasonal/easter/*",
    "seasonal/halloween/bat_left",
    "seasonal/halloween/blackcat",
    "seasonal/halloween/ghost",
    "seasonal/halloween/jackolantern_mean",
    "seasonal/halloween/skull",
    "seasonal/halloween/spider",
    "seasonal/hanukkah/*",
    "seasonal/newyears/*",
    "space/planets/0_sun",
    "town/flags/*",
    "town/monuments/inukshuk-outline",
    "town/roadsigns/arrow",
    "town/roadsigns/crossroads",
    "town/roadsigns/hospital",
    "town/roadsigns/roundabout",
    "town/roadsigns/stop",
    "town/roadsigns/stoplight_*",
    "town/roadsigns/t-junction",
    "town/roadsigns/toilets",
    "town/roadsigns/yield",
    "vehicles/7spoke256",
    "vehicles/emergency/sedan_police",
    "vehicles/ship/chineseJunk",
]

# White or nearly so: on white nothing would be left of them.
ON_BLACK = ["naturalforces/lightningbolt", "seasonal/newyears/fireworks*"]

GPL = "GPL-2.0-or-later"
# Who made what, and on what terms, from the package's changelog (/usr/share/doc) and the
# docs/CONTRIBUTORS.txt of its source. First match wins; the last line is the package's own licence.
CREDITS: list[tuple[str, str, str]] = [
    ("*", GPL, "Tux Paint stamp contributors"),
]


def match(stem: str, patterns) -> str | None:
    """The first of the patterns that the stem ("food/fruit/apple_red") fits, or None."""
    return next((p for p in patterns if fnmatchcase(stem, p)), None)


def caption(text: str) -> str:
    """A name from a caption: 'A pair of open scissors.' gives 'Open scissors'."""
    text = re.sub(r"\(.*?\)", "", text)
    text = re.sub(r"[“”\"]", "", text).replace("’", "'").strip(" .!")
    text = re.sub(r"^(An?|The|Some|Our)\s+", "", text)
    text = re.sub(r"^(pair|bunch|head) of\s+", "", text)
    return text[:1].upper() + text[1:]


def caption_zh(text: str) -> str:
    """The same in Chinese; empty where the translator left the English."""
    text = re.sub(r"[(（].*?[)）]", "", text).strip(" .。!！")
    return text if re.search(r"[\u4e00-\u9fff]", text) else ""


def webp(source: Path, background: str) -> bytes:
    """The cut-out on a plain background, at most SIZE pixels wide and high, never enlarged."""
    with Image.open(source) as opened:
        cutout = opened.convert("RGBA")
    picture = Image.new("RGBA", cutout.size, background)
    picture.alpha_composite(cutout)
    picture = picture.convert("RGB")
    picture.thumbnail((SIZE, SIZE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY, method=6)
    return buffer.getvalue()


def row(stamps: Path, source: Path, data: bytes) -> dict[str, str]:
    """One line of the table."""
    stem = source.relative_to(stamps).with_suffix("").as_posix()
    folders = stem.split("/")[:-1][:2]
    lines = source.with_suffix(".txt").read_text(encoding="utf-8").splitlines()
    chinese = next((x.split("=", 1)[1] for x in lines if x.lower().startswith("zh_tw.utf8=")), "")
    name, name_zh = caption(lines[0]), caption_zh(chinese)
    if pattern := match(stem, NAMES):
        name, name_zh = NAMES[pattern]
    licence, credit = next(terms for pattern, *terms in CREDITS if fnmatchcase(stem, pattern))
    slug = re.sub(r"[^a-z0-9]+", "-", "/".join([*folders, source.stem]).lower())
    return {
        "id": slug,
        "file": f"{slug}.webp",
        "name": name,
        "name_zh": name_zh,
        "category": "/".join(folders),
        "kind": "drawing" if match(stem, DRAWN) else "photo",
        "licence": licence,
        "credit": credit,
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def build(package: Path, out: Path) -> list[dict[str, str]]:
    """Write every picture and the table into `out`; return the rows."""
    if hashlib.sha256(package.read_bytes()).hexdigest() != PACKAGE_SHA256:
        raise SystemExit(f"{package.name} is not {PACKAGE} {VERSION}: its sha256 differs")
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    with tempfile.TemporaryDirectory() as unpacked:
        subprocess.run(["dpkg-deb", "-x", package, unpacked], check=True)
        stamps = Path(unpacked) / "usr/share/tuxpaint/stamps"
        for source in sorted(stamps.rglob("*.png")):
            parts = source.relative_to(stamps).parts
            if parts[0] == "symbols" or "cartoon" in parts or source.stem.endswith("_mirror"):
                continue
            stem = source.relative_to(stamps).with_suffix("").as_posix()
            data = webp(source, "black" if match(stem, ON_BLACK) else "white")
            rows.append(row(stamps, source, data))
            (out / rows[-1]["file"]).write_bytes(data)
    rows.sort(key=lambda r: r["id"])
    for stale in {p.name for p in out.glob("*.webp")} - {r["file"] for r in rows}:
        (out / stale).unlink()
    with (out / "photos.csv").open("w", encoding="utf-8", newline="") as table:
        writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return rows


def check(out: Path) -> list[str]:
    """What differs between the folder and its table: one sentence a file, none when all is well."""
    with (out / "photos.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    known = {r["file"] for r in rows}
    problems = [f"{p.name}: not in the table" for p in out.glob("*.webp") if p.name not in known]
    for r in rows:
        path = out / r["file"]
        if not path.is_file():
            problems.append(f"{r['file']}: missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != r["sha256"]:
            problems.append(f"{r['file']}: differs from the table's sha256")
    return sorted(problems)


def main(arguments: list[str]) -> int:
    """Run from the command line; the exit status is 1 when a check finds something."""
    if arguments == ["--check"]:
        problems = check(OUT)
        print("\n".join(problems) or f"{OUT.name}: every file agrees with photos.csv")
        return int(bool(problems))
    with tempfile.TemporaryDirectory() as download:
        if arguments:
            package = Path(arguments[0])
        else:
            subprocess.run(
                ["apt-get", "download", f"{PACKAGE}={VERSION}"], cwd=download, check=True
            )
            package = next(Path(download).glob("*.deb"))
        rows = build(package, OUT)
    size = sum(p.stat().st_size for p in OUT.iterdir())
    print(f"{len(rows)} pictures, {size / 1e6:.2f} MB in {OUT}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
