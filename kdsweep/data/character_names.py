"""The Unicode name of a character as a text for networks: letter by letter."""

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kdsweep.batch import PADDING, Tokens
from kdsweep.data.glyph_scripts import SCRIPTS

NameTexts = Literal["names", "names_without_class"]
"""The name as it is, or without the words that classes are called by."""

ALPHABET = " -0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""All that names are written with."""
START = 1
"""The id before the first letter: where a network reads the class."""
NAME_SHAPE = Tokens(length=80, vocabulary=START + 1 + len(ALPHABET))
"""The longest name of a character that is drawn has 72 letters."""


def encode_names(names: Sequence[str], texts: NameTexts) -> NDArray[np.int16]:
    """The ids ``[N, S]`` of each name, padded with zeros; what is too long is cut off."""
    if texts == "names_without_class":
        names = [without_class(name) for name in names]
    ids = np.full((len(names), NAME_SHAPE.length), PADDING, np.int16)
    ids[:, 0] = START
    for row, name in zip(ids, names, strict=True):
        letters = np.frombuffer(name.encode("ascii")[: NAME_SHAPE.length - 1], np.uint8)
        row[1 : 1 + len(letters)] = _IDS[letters]
    return ids


def names_in_words() -> str:
    """How ``encode_names`` makes ids of a name, for model cards."""
    return (
        f"the name of a character in capitals as ids: {START}, then for each letter {START + 1} "
        f"plus its position in {ALPHABET!r}, filled up with {PADDING} to {NAME_SHAPE.length}"
    )


def without_class(name: str) -> str:
    """``GREEK SMALL LETTER ALPHA`` -> ``SMALL ALPHA``: no word that any class is called by."""
    return " ".join(_CLASS_WORDS.sub(" ", name).strip(" -").split())


def _class_words() -> re.Pattern[str]:
    """Every word in the name of a class, singular and plural."""
    words = {word for script in SCRIPTS for word in script.name.upper().split("_")}
    stems = sorted(word.removesuffix("S") for word in words)
    return re.compile(rf"\b(?:{'|'.join(stems)})S?\b")


def _ids() -> NDArray[np.int16]:
    table = np.zeros(128, np.int16)
    table[np.frombuffer(ALPHABET.encode("ascii"), np.uint8)] = np.arange(len(ALPHABET)) + START + 1
    return table


_CLASS_WORDS = _class_words()
_IDS = _ids()
