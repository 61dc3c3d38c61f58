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

from committed import altered
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
    "seasonal/newyears/[cp]*",
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
ON_BLACK = [
    "naturalforces/lightningbolt",
    "seasonal/halloween/ghost",
    "seasonal/halloween/skull",
    "seasonal/newyears/fireworks*",
]

GPL = "GPL-2.0-or-later"
PACKAGE_LICENCE = f"{GPL} (package)"  # nothing is said of the file itself
PUBLIC = "public domain"
FORD = "Caroline Ford"
FORD_TERMS = f"GFDL, CC-BY-SA (version not stated) or {GPL}"
GFDL = "GFDL"
UNNAMED = "Tux Paint stamp contributors"
KENDRICK = "Bill Kendrick"
CHILDSPLAY = "Stas Zytkiewicz (Childsplay), adapted by Pere Pujal i Carabantes"

# Who made what, and on what terms, as the package's changelog (/usr/share/doc) and docs/CONTRIBUTORS.txt
# of its source say: (licence, credit, files). The first line that fits a file counts.
CREDITS = [
    # Wikipedia and Wikimedia Commons
    ("CC-BY-2.5", "Aaron M. Lang", "vehicles/emergency/firetruck"),
    ("CC-BY-2.5", "Jmb (Wikimedia Commons)", "seasonal/christmas/Mince_Pie"),
    ("CC-BY-2.0", "Patrick Fitzgerald", "seasonal/christmas/Roast_turkey"),
    ("CC-BY-SA-2.0", "Scruffy (Wikipedia)", "sports/australian_rules_football"),
    ("CC-BY-SA-2.0-DE", "Martin Möller", "hobbies/music/string/guitar_classical"),
    ("CC-BY-SA-2.5", "André Karwath", "hobbies/music/string/guitar_electric"),
    ("CC-BY-SA-2.5", "Ansgar Walk", "town/monuments/inukshuk-photo"),
    ("CC-BY-SA-2.5", "Erinn Lynch", "animals/birds/pelican animals/birds/heron_*"),
    (
        "CC-BY-SA (version not stated)",
        "André Karwath",
        "seasonal/christmas/German_Christmas_toy",
    ),
    ("CC-BY-SA-3.0", "VHSS Irimpanam school, Kerala", "plants/flowers/adeenia"),
    ("CC-BY-SA-3.0", "VHSS Irimpanam school, Kerala", "plants/flowers/anthoorium"),
    ("CC-BY-SA-3.0", "VHSS Irimpanam school, Kerala", "plants/flowers/appooppanthady"),
    ("CC-BY-SA-3.0", "VHSS Irimpanam school, Kerala", "plants/flowers/bolsom"),
    ("CC-BY-SA-3.0", "VHSS Irimpanam school, Kerala", "plants/flowers/chemparathi"),
    ("CC-BY-SA-3.0", "VHSS Irimpanam school, Kerala", "plants/flowers/plastic/*"),
    ("GFDL or CC-BY-SA-2.5", "Guttorm Flatabø", "animals/insects/Brown_slug"),
    ("GFDL or CC-BY-SA-3.0", "Menchi and David (Wikimedia Commons)", "medical/mercury*"),
    (
        "GFDL and CC-BY-SA (version not stated)",
        "Nesnad (Wikimedia Commons)",
        "vehicles/masstransit/green_korean_bus",
    ),
    (
        "GFDL and CC-BY-SA (version not stated)",
        "PJ (Wikimedia Commons)",
        "hobbies/music/brass/trumpet",
    ),
    ("CeCILL and GFDL", "Rama, Booyabazooka, Poisend-Ivy", "medical/bandage_adhesive"),
    ("GFDL-1.2-only", "Gregory Maxwell", "hobbies/music/wind/bassoon"),
    ("GFDL-1.2-or-later", "Factumquintus", "animals/mammals/aquatic/otter"),
    (GFDL, "Paul Venter", "animals/birds/helmeted_guineafowl"),
    (GFDL, "Joaquim Alves Gaspar", "animals/insects/Woodlouse"),
    (GFDL, "Benjamint444 (Wikipedia)", "food/fruit/Apricot_whole food/fruit/Cherry_Stella"),
    (GFDL, "Benjamint444 (Wikipedia)", "food/fruit/Strawberry2"),
    (GFDL, "Geierunited (Wikimedia Commons)", "food/fruit/apricot"),
    (GFDL, "Georg Feitscher", "hobbies/music/string/cello"),
    (GFDL, "Stkrumm, FlorianB, Feitscher g", "hobbies/music/string/guitar_electric_bass"),
    (GFDL, "Pawel Wajda", "hobbies/music/percussion/drumkit"),
    (GFDL, "Frink51 (Wikimedia Commons)", "hobbies/music/string/violin"),
    (GFDL, "KMJ and Edokter (Wikipedia)", "household/Lightbulb"),
    (GFDL, "Musical Linguist (Wikipedia)", "seasonal/christmas/Christmas_pudding"),
    (PACKAGE_LICENCE, "Stephan Czuratis", "hobbies/music/percussion/*"),
    (PUBLIC, "Kathleen French", "seasonal/christmas/Candy_cane_photo_*"),
    (PUBLIC, "Jorge Barrios", "seasonal/christmas/Christmas_Tree_photo"),
    (PUBLIC, "reisio (Wikipedia)", "sports/basketball"),
    (PUBLIC, "Albinomonkey (Wikipedia)", "sports/cricketball"),
    (PUBLIC, "Glaux (Wikipedia)", "sports/tennis_racket"),
    ("no usage restrictions", "Wikimedia Commons", "sports/tennis_ball"),
    (PUBLIC, "Wikimedia Commons", "town/roadsigns/traffic_cone"),
    (PUBLIC, "Wikipedia", "medical/stethoscope"),
    (PACKAGE_LICENCE, "Ben Bloker, U.S. Air Force", "military/vehicles/f22_raptor"),
    # other public domain
    (PUBLIC, "NOAA Photo Library", "animals/fish/shrimp animals/fish/lobster"),
    (PUBLIC, "NOAA Photo Library", "animals/fish/seahorse"),
    (PUBLIC, "Steve Karg", "food/vegetables/broccoli"),
    (PUBLIC, "JicJac and nicubunu (Open Clip Art Library), " + FORD, "clothes/t_*"),
    (PUBLIC, "boobaloo (Open Clip Art Library)", "hobbies/music/string/guitar2"),
    (PACKAGE_LICENCE, "Open Clip Art Library", "seasonal/halloween/jackolantern_mean"),
    # contributors who named their terms
    (FORD_TERMS, FORD, "household/home_compost_bin animals/birds/chicken_profile"),
    (FORD_TERMS, FORD, "animals/mammals/bovines/cow_white animals/mammals/bovines/sheep*"),
    (FORD_TERMS, FORD, "animals/mammals/equines/donkey_eating animals/mammals/pig_golden*"),
    (FORD_TERMS, FORD, "animals/mammals/rabbit_little vehicles/garbagetruck"),
    (FORD_TERMS, FORD, "plants/flowers/daffodil household/tools/spade household/cylinder"),
    (FORD_TERMS, FORD, "household/tools/cementmixer vehicles/wheel_tractor"),
    (GFDL, FORD, "household/kettle household/wheelie_bin household/arttools/highlighter"),
    (GFDL, FORD, "household/dishes/mug town/uk_post_box town/roadsigns/dead_end_sign"),
    (GFDL, FORD, "town/roadsigns/give_way_sign town/roadsigns/roundabout"),
    (GFDL, FORD, "town/roadsigns/school_sign town/roadsigns/no_entry_sign"),
    (GFDL, FORD, "vehicles/auto/beetle vehicles/cycle/pink_tricycle"),
    (GFDL, FORD, "military/ammunition/old_naval_shell military/vehicles/ww2_german_gun"),
    (GFDL, FORD, "plants/trees/holly_leaves seasonal/easter/wrapped_chocolate_*"),
    (GFDL, FORD, "sports/rugby_goal_posts"),
    (GPL, "Anna Bujak", "people/body_parts/eye animals/mammals/hedgehog food/pizza"),
    (GPL, "Ivana", "clothes/button seasonal/christmas/Santa medical/tooth"),
    (GPL, "Pere Pujal i Carabantes", "plants/trees/holm_oak plants/mushrooms/cep*"),
    (GPL, "Pere Pujal i Carabantes", "animals/mammals/rodents/rabbit-2"),
    (GPL, "Pere Pujal i Carabantes", "vehicles/construction/dumper plants/thyme"),
    (GPL, "Pere Pujal i Carabantes", "animals/mammals/bovines/gnu* plants/trees/birch"),
    (GPL, "Pere Pujal i Carabantes", "animals/amphibians/frog-1 animals/insects/mantis"),
    (GPL, "Pere Pujal i Carabantes", "animals/mammals/bears/european-bear"),
    # contributors who did not
    (PACKAGE_LICENCE, KENDRICK, "animals/birds/albino_peahen animals/birds/ostrich"),
    (PACKAGE_LICENCE, KENDRICK, "animals/birds/magellanic_penguin animals/birds/peacock"),
    (PACKAGE_LICENCE, KENDRICK, "animals/birds/pink_flamingo animals/mammals/rhino_black"),
    (PACKAGE_LICENCE, KENDRICK, "animals/birds/crowned_crane"),
    (PACKAGE_LICENCE, KENDRICK, "animals/mammals/rodents/capybara"),
    (PACKAGE_LICENCE, KENDRICK, "animals/mammals/apes/tamarin_emperor"),
    (PACKAGE_LICENCE, KENDRICK, "animals/mammals/bovines/indian_blackbuck"),
    (PACKAGE_LICENCE, KENDRICK, "animals/mammals/cats/tiger_sumatran"),
    (PACKAGE_LICENCE, KENDRICK, "town/roadsigns/railroad_crossing"),
    (PACKAGE_LICENCE, f"{KENDRICK}, {CHILDSPLAY}", "animals/mammals/giraffe"),
    (PACKAGE_LICENCE, f"{KENDRICK}, {CHILDSPLAY}", "animals/mammals/equines/zebra"),
    (PACKAGE_LICENCE, f"John O'Sullivan, {CHILDSPLAY}", "animals/birds/hen"),
    (PACKAGE_LICENCE, f"John O'Sullivan, {CHILDSPLAY}", "animals/birds/rooster"),
    (PACKAGE_LICENCE, "John O'Sullivan", "animals/birds/drake animals/birds/guineafowl"),
    (PACKAGE_LICENCE, "John O'Sullivan", "animals/fish/*"),
    (PACKAGE_LICENCE, "Chris Goerner", "animals/shellfish/* animals/birds/adelaide-rosella"),
    (PACKAGE_LICENCE, "Chris Goerner", "animals/birds/little-penguin animals/birds/magpie"),
    (PACKAGE_LICENCE, "Chris Goerner", "animals/birds/rainbow-lorikeet animals/mammals/echidna"),
    (PACKAGE_LICENCE, "Chris Goerner", "animals/birds/silver-gull animals/mammals/dogs/dingo"),
    (PACKAGE_LICENCE, f"Chris Goerner, {CHILDSPLAY}", "animals/marsupials/kangaroo"),
    (PACKAGE_LICENCE, "Chris Goerner", "food/fruit/lemon food/fruit/mandarine"),
    (PACKAGE_LICENCE, "Chris Goerner", "plants/flowers/yellow-flower plants/flowers/pigface"),
    (PACKAGE_LICENCE, "Chris Goerner", "town/roadsigns/arrow town/roadsigns/crossroads"),
    (PACKAGE_LICENCE, "Chris Goerner", "town/roadsigns/hospital town/roadsigns/t-junction"),
    (PACKAGE_LICENCE, "Chris Goerner", "town/roadsigns/toilets"),
    (PACKAGE_LICENCE, "Jim Trice", "vehicles/ship/* animals/mammals/bears/toys/edward_bear"),
    (PACKAGE_LICENCE, "Jim Trice", "people/toys/grannysmith"),
    # the animals of Childsplay, wherever no one above is named
    (PACKAGE_LICENCE, CHILDSPLAY, "animals/amphibians/frog animals/lizards/iguana"),
    (PACKAGE_LICENCE, CHILDSPLAY, "animals/marsupials/koala animals/marsupials/wombat"),
    (PACKAGE_LICENCE, CHILDSPLAY, "animals/insects/bee animals/insects/fly"),
    (PACKAGE_LICENCE, CHILDSPLAY, "animals/insects/grasshopper animals/insects/hornet"),
    (PACKAGE_LICENCE, CHILDSPLAY, "animals/insects/xanthia animals/birds/blackbird"),
    (PACKAGE_LICENCE, CHILDSPLAY, "animals/birds/crow animals/birds/cuckoo animals/birds/duck"),
    (PACKAGE_LICENCE, CHILDSPLAY, "animals/birds/gander animals/birds/lark animals/birds/owl"),
    (PACKAGE_LICENCE, CHILDSPLAY, "animals/birds/nandou animals/birds/penguin"),
    (PACKAGE_LICENCE, CHILDSPLAY, "animals/birds/pigeon animals/birds/quetzal"),
    (PACKAGE_LICENCE, CHILDSPLAY, "animals/birds/seagull animals/birds/tucan"),
    (PACKAGE_LICENCE, CHILDSPLAY, "animals/birds/turkey animals/birds/vulture"),
    (PACKAGE_LICENCE, UNNAMED, "animals/mammals/cats/lion-2"),
    (PACKAGE_LICENCE, CHILDSPLAY, "animals/mammals/*"),
    # photographs and drawings of single contributors
    (PACKAGE_LICENCE, "Albert Cahalan", "plants/trees/rambutan plants/trees/liberia-palm"),
    (PACKAGE_LICENCE, "Albert Cahalan", "plants/trees/tree336 seasonal/halloween/grave-*"),
    (PACKAGE_LICENCE, "Albert Cahalan", "vehicles/flight/* people/fireman* military/*"),
    (PACKAGE_LICENCE, "Albert Cahalan", "sports/soccer sports/football household/toilet"),
    (PACKAGE_LICENCE, "Albert Cahalan", "naturalforces/fire naturalforces/lightningbolt"),
    (PACKAGE_LICENCE, "Albert Cahalan", "vehicles/race/indycar vehicles/7spoke256"),
    (PACKAGE_LICENCE, "Albert Cahalan", "town/roadsigns/yield town/roadsigns/stop*"),
    (
        PACKAGE_LICENCE,
        "Albert Cahalan, from the US Drug Enforcement Administration",
        "medical/syringe",
    ),
    (PACKAGE_LICENCE, "Ed Montgomery", "town/monuments/inukshuk-outline"),
    (PACKAGE_LICENCE, "Steve Karg", "food/vegetables/corn"),
    (PACKAGE_LICENCE, "George Wong", "food/vegetables/potato"),
    (PACKAGE_LICENCE, "Boris Matovic", "food/fruit/grapes"),
    (PACKAGE_LICENCE, "Ahmed Al-Shukaili", "food/fruit/sliced_orange"),
    (PACKAGE_LICENCE, "Peter Malinowsky", "food/fruit/sliced_lime"),
    (PACKAGE_LICENCE, "Mike Fitzpatrick", "food/fruit/pineapple"),
    (PACKAGE_LICENCE, "Akkana Peck", "plants/flowers/flower*"),
    (PACKAGE_LICENCE, "Jean from DoodleLoo's", "seasonal/easter/*"),
    (PACKAGE_LICENCE, "Nicu Buculei", "seasonal/christmas/tree"),
    (PACKAGE_LICENCE, "Karl Ove Hufthammer", "seasonal/newyears/fireworks*"),
    (PACKAGE_LICENCE, "Justin Zeigler and Pete Salzman", "seasonal/christmas/*"),
    (PACKAGE_LICENCE, "Justin Zeigler and Pete Salzman", "seasonal/hanukkah/*"),
    (PACKAGE_LICENCE, "Justin Zeigler (GOVIA)", "town/flags/* vehicles/auto/*"),
    (PACKAGE_LICENCE, "pixie quix", "space/planets/9_pluto"),
    (PACKAGE_LICENCE, "NASA and NSSDC", "space/*"),
    (PACKAGE_LICENCE, KENDRICK, "seasonal/halloween/* household/tools/*"),
    (PACKAGE_LICENCE, KENDRICK, "household/dishes/utensils/* household/dishes/pitcher_small"),
    (PACKAGE_LICENCE, UNNAMED, "*"),
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
    licence, credit = next(terms for *terms, files in CREDITS if match(stem, files.split()))
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


def main(arguments: list[str]) -> int:
    """Run from the command line; the exit status is 1 when a check finds something."""
    if arguments == ["--check"]:
        problems = altered(OUT / "photos.csv", "*.webp")
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
