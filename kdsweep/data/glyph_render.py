"""Glyphs as pictures: every character of the scripts, in every style that Matplotlib ships."""

import hashlib
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, features

from kdsweep.data.glyph_scripts import SCRIPTS, script_of

SIZE = 32
"""Height and width of a picture, in pixels."""

RECORD = np.dtype(
    [("image", "u1", (SIZE, SIZE)), ("code_point", "<u4"), ("script", "u1"), ("style", "u1")]
)
"""One picture: white on black, with its character, class and style."""

_RECIPE = 1
_BASELINE = 25


@dataclass(frozen=True)
class Style:
    """A font file and the size, in pixels per em, at which it is drawn.

    Many symbols have one drawing in all styles of a family: a size of its own for every style
    makes each a picture of its own.
    """

    file: str
    pixels: float


STYLES: tuple[Style, ...] = (
    Style("DejaVuSans.ttf", 24),
    Style("DejaVuSans-Bold.ttf", 21),
    Style("DejaVuSans-Oblique.ttf", 25.5),
    Style("DejaVuSans-BoldOblique.ttf", 22.5),
    Style("DejaVuSansMono.ttf", 23.5),
    Style("DejaVuSansMono-Bold.ttf", 26),
    Style("DejaVuSansMono-Oblique.ttf", 20.5),
    Style("DejaVuSansMono-BoldOblique.ttf", 25),
    Style("DejaVuSerif.ttf", 22),
    Style("DejaVuSerif-Bold.ttf", 24.5),
    Style("DejaVuSerif-Italic.ttf", 20),
    Style("DejaVuSerif-BoldItalic.ttf", 23),
    Style("STIXGeneral.ttf", 26.5),
    Style("STIXGeneralBol.ttf", 21.5),
    Style("STIXGeneralItalic.ttf", 27),
    Style("STIXGeneralBolIta.ttf", 19.5),
)


def font_folder() -> Path:
    """Where the installed Matplotlib keeps its TrueType fonts."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def recipe_digest() -> str:
    """SHA-256 of all that the pictures follow from: recipe, classes, fonts, Unicode, rasteriser."""
    versions = (_RECIPE, unicodedata.unidata_version, features.version("freetype2"))
    digest = hashlib.sha256(repr((versions, RECORD.descr, SCRIPTS, STYLES)).encode())
    for style in STYLES:
        digest.update((font_folder() / style.file).read_bytes())
    return digest.hexdigest()


def render() -> NDArray[np.void]:
    """Every picture once, ``RECORD`` s in the order of code points, then styles.

    A blank picture is left out, and so is one that an earlier character or style already has: no
    picture carries two labels, and none can be both trained on and tested on.
    """
    seen: set[bytes] = set()
    records = []
    for code_point, script, style, draw in _drawings():
        image = draw(chr(code_point))
        pixels = image.tobytes()
        if image.getbbox() is None or pixels in seen:
            continue
        seen.add(pixels)
        picture = np.frombuffer(pixels, np.uint8).reshape(SIZE, SIZE)
        records.append((picture, code_point, script, style))
    return np.array(records, dtype=RECORD)


def _drawings() -> Iterator[tuple[int, int, int, Callable[[str], Image.Image]]]:
    """Code point, script, style and pen of every character that a font really has."""
    from matplotlib.ft2font import FT2Font

    held = [set(FT2Font(str(font_folder() / style.file)).get_charmap()) for style in STYLES]
    pens = [_pen(font_folder() / style.file, style.pixels) for style in STYLES]
    for code_point in sorted(set().union(*held)):
        script = script_of(code_point)
        if script is None:
            continue
        for style, characters in enumerate(held):
            if code_point in characters:
                yield code_point, script, style, pens[style]


def _pen(path: Path, pixels: float) -> Callable[[str], Image.Image]:
    """A function that draws one character of a font on a common baseline."""

    @cache
    def font_of(size: float) -> ImageFont.FreeTypeFont:
        return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)

    def draw(character: str) -> Image.Image:
        font = font_of(pixels)
        left, top, right, bottom = font.getbbox(character, anchor="ls")
        if (largest := max(right - left, bottom - top)) > SIZE:
            # One pixel spare: hinting may round a shrunken outline up.
            font = font_of(int(pixels * (SIZE - 1) / largest * 2) / 2)
            left, top, right, bottom = font.getbbox(character, anchor="ls")
        # By its advance, not its ink: else a low dot of Braille would look like a high one.
        width = font.getlength(character)
        x = (SIZE - width) / 2 if width else (SIZE - left - right) / 2
        x = max(-left, min(round(x), SIZE - right))
        y = max(-top, min(_BASELINE, SIZE - bottom))
        image = Image.new("L", (SIZE, SIZE))
        ImageDraw.Draw(image).text((x, y), character, fill=255, font=font, anchor="ls")
        return image

    return draw
