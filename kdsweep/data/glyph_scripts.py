"""The classes of the glyphs: scripts by the names of their letters, symbols by Unicode block."""

import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True)
class Script:
    """A class of characters, by the start of their Unicode names or by ranges of code points.

    ``categories`` are the first letters of the general categories that belong: letters ``L``,
    marks ``M``, numbers ``N``, punctuation ``P``, symbols ``S``. ``words`` must contain one of the
    name's words, where given.
    """

    name: str
    prefixes: tuple[str, ...] = ()
    ranges: tuple[tuple[int, int], ...] = ()
    categories: str = "LMNPS"
    words: tuple[str, ...] = ()

    def holds(self, code_point: int) -> bool:
        """Whether a character belongs to this class; unassigned code points belong to none."""
        character = chr(code_point)
        name = unicodedata.name(character, "")
        if not name or unicodedata.category(character)[0] not in self.categories:
            return False
        if self.words and not any(word in self.words for word in name.replace("-", " ").split()):
            return False
        in_range = any(first <= code_point <= last for first, last in self.ranges)
        return in_range or name.startswith(self.prefixes or ("\0",))


SCRIPTS: tuple[Script, ...] = (
    Script("arabic", ("ARABIC LETTER", "ARABIC LIGATURE"), categories="L"),
    Script("armenian", ("ARMENIAN ",), categories="L"),
    Script(
        "arrows",
        ranges=((0x2190, 0x21FF), (0x27F0, 0x27FF), (0x2900, 0x297F), (0x2B00, 0x2B11),
                (0x2B30, 0x2B4F)),
        categories="S",
    ),
    Script("box_drawing", ranges=((0x2500, 0x257F),)),
    Script("braille", ranges=((0x2800, 0x28FF),)),
    Script("canadian_syllabics", ("CANADIAN SYLLABICS ",), categories="L"),
    Script("combining_marks", ranges=((0x0300, 0x036F), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF))),
    Script("cyrillic", ("CYRILLIC ",), categories="L"),
    Script("dingbats", ranges=((0x2700, 0x2775), (0x2794, 0x27BF)), categories="S"),
    Script("emoticons", ranges=((0x1F600, 0x1F64F),)),
    Script("game_tiles", ranges=((0x1F000, 0x1F0FF),)),
    Script("geometric_shapes", ranges=((0x2580, 0x25FF), (0x2B12, 0x2B2F))),
    Script("georgian", ("GEORGIAN ",), categories="L"),
    Script("greek", ("GREEK ",), categories="L"),
    Script("hebrew", ("HEBREW ",), categories="L"),
    Script("hexagrams", ranges=((0x4DC0, 0x4DFF), (0x1D300, 0x1D356))),
    Script("lao", ("LAO ",)),
    Script("latin", ("LATIN ",), categories="L"),
    Script(
        "mathematical_letters",
        ("MATHEMATICAL ", "SCRIPT ", "BLACK-LETTER ", "DOUBLE-STRUCK "),
        categories="L",
        words=("SCRIPT", "FRAKTUR", "LETTER", "STRUCK"),
    ),
    Script(
        "mathematical_operators",
        ranges=((0x2200, 0x22FF), (0x27C0, 0x27EF), (0x2980, 0x2AFF)),
    ),
    Script("modifier_letters", ("MODIFIER LETTER ",)),
    Script(
        "numbers",
        ("DIGIT ", "VULGAR ", "ROMAN ", "SUPERSCRIPT ", "SUBSCRIPT ", "CIRCLED ", "DINGBAT ",
         "FRACTION ", "MATHEMATICAL "),
        categories="N",
    ),
    Script("pictographs", ranges=((0x2600, 0x26FF),)),
    Script(
        "punctuation",
        ranges=((0x0021, 0x00BF), (0x2010, 0x205E), (0x2E00, 0x2E7F)),
        categories="P",
    ),
    Script("technical", ranges=((0x2300, 0x23FF),)),
)  # fmt: skip


def script_of(code_point: int) -> int | None:
    """The index in ``SCRIPTS`` of a character's class, or none."""
    return next((k for k, script in enumerate(SCRIPTS) if script.holds(code_point)), None)
