"""Pictures as people send them: any of eight formats, read as a viewer shows them, within limits."""

import io
import re
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageCms,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from workshop.errors import TooLarge, WorkshopError

MAX_PIXELS = 50_000_000
MAX_SCANS = 100  # passes over the pixels of a JPEG; cameras and programs write 1 to 20
MAX_PPM_HEADER = 65_536  # bytes
# What Pillow raises on broken and hostile files, as seen when bytes are changed at random.
DECODER_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    SyntaxError,
    RuntimeError,
    LookupError,
    ArithmeticError,
    AssertionError,
    EOFError,
    struct.error,
    zlib.error,
)
ORIENTATION = 0x0112  # the EXIF tag
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ROWS = 256  # of a grey picture scaled at a time: few, so that the copies in between stay small

ImageSource = str | Path | bytes | Image.Image


class ImageError(WorkshopError):
    """A picture that cannot be read. The message names it and says why."""


class ImageTooLarge(ImageError, TooLarge):
    """A picture that asks for more than is allowed. The message names the limit it crossed."""


def load_image(
    source: ImageSource,
    *,
    name: str | None = None,
    max_pixels: int = MAX_PIXELS,
    max_scans: int = MAX_SCANS,
    longest_side: int | None = None,
) -> Image.Image:
    """An RGB picture as a viewer shows it: upright, in sRGB, on white, first frame.

    source        a path, the bytes of a file, or a PIL image (which stays as it is)
    name          what an error calls it; default: the path's last part, or "the image"
    max_pixels    refused above this, before anything is decoded
    max_scans     passes over the pixels that a progressive JPEG may ask for
    longest_side  pixels; a larger picture is made smaller, as early and cheaply as its format lets us

    Reads JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF and PPM, whatever the file is called. Metadata that
    is broken is ignored; what can be read of it counts: the EXIF orientation, the colour profile.
    Integer grey of more than 8 bits is scaled by what its format calls white; 32-bit and float grey
    by its own range. Raises ImageTooLarge beyond a limit, ImageError for all that is no picture.
    """
    if isinstance(source, Image.Image):
        name = name or "the image"
        _check_size(source, name, max_pixels)
        return _decoded(source, name, longest_side)
    if isinstance(source, str | Path):
        path = Path(source)
        name = name or path.name or str(source)
        try:
            if not path.is_file():
                raise ImageError(f"{name}: there is no such file ({str(source)[:200]}).")
            file = path.open("rb")
        except OSError as error:
            raise ImageError(f"{name} cannot be opened: {error.strerror}.") from error
    elif isinstance(source, bytes):
        name, file = name or "the image", io.BytesIO(source)
    else:
        raise ImageError(
            f"{name or 'the image'} is {type(source).__name__}: give a path, bytes or a PIL image "
            "(PIL.Image.fromarray makes one of an array)."
        )
    with file:
        if not file.seek(0, io.SEEK_END):
            raise ImageError(f"{name} is empty (0 bytes).")
        image = _open(file, name)
        _check_size(image, name, max_pixels)
        if isinstance(image, JpegImagePlugin.JpegImageFile):
            file.seek(0)
            if _scans(file.read(), max_scans) > max_scans:
                raise ImageTooLarge(
                    f"{name} is a JPEG of more than {max_scans} scans, the limit here (max_scans). "
                    "Open it in a picture program and save it again."
                )
            if longest_side:
                image.draft(None, (2 * longest_side, 2 * longest_side))
        return _decoded(image, name, longest_side)


# ------------------------------------------------------------------------------ the formats


# Pillow reads pixels and metadata together. These read the pixels where only the rest is broken.


class _Png(PngImagePlugin.PngImageFile):
    def _open(self) -> None:
        try:
            super()._open()
        except DECODER_ERRORS:
            self.fp.seek(0)
            self.fp = io.BytesIO(_without_broken_chunks(self.fp.read()))
            super()._open()

    def load_end(self) -> None:
        with suppress(*DECODER_ERRORS):  # the pixels are in: what follows them is metadata
            super().load_end()


def _without_broken_chunks(png: bytes) -> bytes:
    """A PNG with the chunks that it cannot do without, and those that we use and that are whole."""
    kept, place = [png[:8]], 8
    while place < len(png):
        end = place + 12 + int.from_bytes(png[place : place + 4], "big")
        kind, body, check = png[place + 4 : place + 8], png[place + 8 : end - 4], png[end - 4 : end]
        whole = zlib.crc32(kind + body).to_bytes(4, "big") == check
        used = kind in (b"tRNS", b"eXIf") or (
            kind == b"iCCP" and body.partition(b"\0")[2][:1] == b"\0"
        )
        if kind[:1].isupper() or (used and whole):
            kept.append(png[place:end])
        place = end
    return b"".join(kept)


class _Tiff(TiffImagePlugin.TiffImageFile):
    def _open(self) -> None:
        try:
            super()._open()
        except DECODER_ERRORS:
            self.fp.seek(0)
            self.fp = io.BytesIO(_without_other_tags(self.fp.read()))
            super()._open()

    def load_prepare(self) -> None:
        if self._im is None:  # by our own limit, see _check_size, and not by Pillow's
            self.im = Image.core.new(self.mode, self._tile_size)
        ImageFile.ImageFile.load_prepare(self)

    def load_end(self) -> None:
        """Turn it, and read no other tag: one that is broken is no fault of the pixels."""
        turn = TURNS.get(self.tag_v2.get(ORIENTATION))
        if turn is not None:
            self.im = self.im.transpose(turn)


# Sizes, layout, compression, colours, orientation and the colour profile.
TIFF_TAGS = {
    *range(256, 260),
    262,
    266,
    273,
    274,
    *range(277, 280),
    284,
    317,
    320,
    *range(322, 326),
}
TIFF_TAGS |= {332, 338, 339, 347, *range(512, 522), *range(529, 533), 34675}


def _without_other_tags(tiff: bytes) -> bytes:
    """A TIFF whose first picture has the tags that say what its pixels are, and no others."""
    order = "<" if tiff[:2] == b"II" else ">"
    (start,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, start)
    kept = [struct.pack(f"{order}H", 0)]
    for place in range(start + 2, start + 2 + 12 * count, 12):
        tag, _, values = struct.unpack_from(f"{order}HHI", tiff, place)
        if tag in TIFF_TAGS and values <= (1 if tag == ORIENTATION else len(tiff)):
            kept.append(tiff[place : place + 12])
    kept[0] = struct.pack(f"{order}H", len(kept) - 1)
    directory = b"".join(kept) + bytes(4)  # no second picture
    return tiff[:start] + directory + tiff[start + len(directory) :]


class _Avif(AvifImagePlugin.AvifImageFile):
    def _open(self) -> None:
        try:
            super()._open()
        except DECODER_ERRORS:
            self.fp.seek(0)
            # Without EXIF, whose item gets a type that no one reads: the orientation stands in the
            # file's own boxes too.
            self.fp = io.BytesIO(
                re.sub(rb"(infe\x02.{7})Exif", rb"\1skip", self.fp.read(), flags=re.S)
            )
            super()._open()


# In the order in which they are tried. Formats that start a program (EPS) or hold no photo stay out.
READERS = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": _Png,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": _Tiff,
    "AVIF": _Avif,
    "PPM": PpmImagePlugin.PpmImageFile,
}


def _open(file: BinaryIO, name: str) -> ImageFile.ImageFile:
    # Not by Image.open, which holds every picture against a limit of Pillow's own.
    file.seek(0)
    start = file.read(16)
    try:
        for kind, reader in READERS.items():
            if Image.OPEN[kind][1](start) is True:
                if kind == "PPM":
                    _check_ppm(file, name)
                file.seek(0)
                return reader(file)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(f"{name} is too large: {error}") from error
    except DECODER_ERRORS as error:
        if isinstance(error, ImageError):
            raise
        cause = error
    else:
        cause = None
    raise ImageError(
        f"{name} is not a picture that can be read: it is broken, or not "
        "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or PPM. Save it as JPEG or PNG."
    ) from cause


def _check_size(image: Image.Image, name: str, max_pixels: int) -> None:
    width, height = image.size
    tile_width, tile_height = getattr(image, "_tile_size", image.size)  # of a TIFF
    if max(width * height, tile_width * tile_height) > max_pixels:
        raise ImageTooLarge(
            f"{name} has {width} × {height} pixels, the limit is {max_pixels:,} in all "
            "(max_pixels). Make it smaller first."
        )
    if not width or not height:
        raise ImageError(f"{name} has no pixels ({width} × {height}).")


def _check_ppm(file: BinaryIO, name: str) -> None:
    """Pillow reads the header, with its comments of any length, byte by byte."""
    file.seek(0)
    header = file.read(MAX_PPM_HEADER)
    values = 3 if header[:2] in (b"P1", b"P4") else 4
    if len(header) == MAX_PPM_HEADER and len(re.sub(rb"#[^\r\n]*", b"", header).split()) < values:
        raise ImageTooLarge(
            f"{name} has a header of more than {MAX_PPM_HEADER:,} bytes, the limit. "
            "Leave out its comments."
        )


_MARKER = re.compile(rb"\xff+([^\x00\x01\xd0-\xd7\xff])", re.DOTALL)


def _scans(jpeg: bytes, enough: int) -> int:
    """How many scans a JPEG announces, counted up to one more than is enough."""
    if jpeg.count(b"\xff\xda") <= enough:  # as nearly always, and found at once
        return enough
    scans, place = 0, 2
    while scans <= enough and (marker := _MARKER.search(jpeg, place)):
        kind, place = marker[1][0], marker.end()
        if kind == 0xD9:  # the end; another picture, or anything else, may follow
            break
        scans += kind == 0xDA
        place += int.from_bytes(jpeg[place : place + 2], "big")
    return scans


# ------------------------------------------------------------------------------ the pixels


def _decoded(image: Image.Image, name: str, longest_side: int | None) -> Image.Image:
    try:
        image.load()
        turn, profile = _orientation(image), image.info.get("icc_profile")
        picture = _smaller(_plain(image), longest_side)
        picture = _on_white(_as_srgb(picture, profile))
        turned = picture if turn is None else picture.transpose(turn)
        return turned.copy() if turned is image else turned
    except DECODER_ERRORS as error:
        if _is_closed(image, error):
            raise ImageError(
                f"{name} is closed: its file was closed before its pixels were read. Use it inside "
                "the `with` block, call its load() there, or give the path."
            ) from error
        raise ImageError(
            f"{name} is broken or cut short: {error}. Open it in a picture program and save it again."
        ) from error


def _is_closed(image: Image.Image, error: Exception) -> bool:
    lazy = isinstance(image, ImageFile.ImageFile) and bool(image.tile)
    return (lazy and (image.fp is None or image.fp.closed)) or "closed image" in str(error)


def _orientation(image: Image.Image) -> Image.Transpose | None:
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return None  # it was turned when it was loaded
    try:
        return TURNS.get(image.getexif().get(ORIENTATION))
    except DECODER_ERRORS:
        return None  # nobody can say which way is up


def _plain(image: Image.Image) -> Image.Image:
    """The picture in a mode whose values can be mixed: L, LA, RGB, RGBA, CMYK or LAB."""
    if image.mode.startswith(("I", "F")):
        return _scaled_grey(image)
    if image.has_transparency_data:
        return image if image.mode in ("LA", "RGBA") else image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("L", "RGB", "CMYK", "LAB") else image.convert("RGB")


def _scaled_grey(image: Image.Image) -> Image.Image:
    """Grey of more than 8 bits as 8 bits, mode L."""
    values = np.asarray(image)
    tags = getattr(image, "tag_v2", {})
    if image.mode.startswith("I;16"):
        low, high = 0, 2 ** min(16, tags.get(TiffImagePlugin.BITSPERSAMPLE, (16,))[0]) - 1
    elif image.format == "PPM" and image.mode == "I":
        low, high = 0, 65535  # Pillow has scaled it to that
    else:
        # One value that is no number, or an infinite one, must not decide how the others look.
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    grey = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), ROWS):
        rows = values[start : start + ROWS].astype(np.float64)
        rows = np.nan_to_num(rows, nan=low, posinf=high, neginf=low)
        scaled = (rows - low) * (255 / (high - low)) if high > low else np.zeros_like(rows)
        grey[start : start + ROWS] = scaled.round().clip(0, 255)
    white_is_zero = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0
    return Image.fromarray(255 - grey if white_is_zero else grey)


def _smaller(image: Image.Image, longest_side: int | None) -> Image.Image:
    scale = longest_side / max(image.size) if longest_side else 1
    if scale >= 1:
        return image
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)


# What a profile speaks of, to the mode that is given to it and those it may be found in.
SPACES = {
    "RGB": ("RGB", ("RGB", "RGBA", "L", "LA")),
    "GRAY": ("L", ("L", "LA")),
    "CMYK": ("CMYK", ("CMYK",)),
    "Lab": ("LAB", ("LAB",)),
}


def _as_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The picture in the colours that its profile means; as it is if that is broken or of others."""
    try:
        if image.mode == "LAB":
            source = ImageCms.createProfile("LAB")
        elif profile:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile
        else:
            return image
        mode, suits = SPACES.get(source.xcolor_space.strip(), ("", ()))
        if image.mode not in suits:
            return image
        shown = ImageCms.profileToProfile(
            image.convert(mode), source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, *DECODER_ERRORS):
        return image
    if image.mode in ("LA", "RGBA"):
        shown.putalpha(image.getchannel("A"))
    return shown


def _on_white(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")
