import unicodedata

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from kdsweep.data import glyphs
from kdsweep.data.base import Splits
from kdsweep.data.character_names import ALPHABET, NAME_SHAPE, encode_names, without_class
from kdsweep.data.glyph_scripts import SCRIPTS
from kdsweep.data.glyphs import Glyphs

CPU = torch.device("cpu")
Records = NDArray[np.void]


def written(row: list[int]) -> str:
    """The name that a row of ids spells."""
    assert row[0] == 1
    return "".join(ALPHABET[each - 2] for each in row[1:] if each)


@pytest.fixture
def _few(glyph_records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [k for k, script in enumerate(SCRIPTS) if script.name in ("lao", "greek", "armenian")]
    chosen = glyph_records[np.isin(glyph_records["script"], wanted)]
    monkeypatch.setattr(glyphs, "open_glyphs", lambda: chosen)


def load(**settings: object) -> Splits:
    chosen = {"classes": ("lao", "greek", "armenian"), "limit": 200, **settings}
    return Glyphs(Glyphs.Params(**chosen)).load(CPU)


def test_a_name_by_hand() -> None:
    # Space 2, hyphen 3, digits from 4, letters from 14; 1 comes first, 0 fills up.
    (row,) = encode_names(["BE-1 A"], "names")
    assert row[:8].tolist() == [1, 15, 18, 3, 5, 2, 14, 0]
    assert row.shape == (80,)
    assert (NAME_SHAPE.length, NAME_SHAPE.vocabulary) == (80, 40)
    (long,) = encode_names(["A" * 200], "names")
    assert long.tolist() == [1] + [14] * 79


@pytest.mark.parametrize(
    ("name", "left"),
    [("GREEK SMALL LETTER ALPHA", "SMALL ALPHA"), ("BRAILLE PATTERN DOTS-123", "PATTERN DOTS-123"),
     ("BOX DRAWINGS LIGHT UP", "LIGHT UP"), ("LEFTWARDS ARROW-TAIL", "LEFTWARDS -TAIL"),
     ("HEXAGRAM FOR PEACE", "FOR PEACE"), ("BOXING GLOVE", "BOXING GLOVE"),
     ("MATHEMATICAL SCRIPT CAPITAL A", "SCRIPT CAPITAL A"), ("ARROW", "")],
)  # fmt: skip
def test_words_that_classes_are_called_by_are_left_out(name: str, left: str) -> None:
    assert without_class(name) == left


def test_every_name_that_is_drawn_fits(glyph_records: Records) -> None:
    code_points = np.unique(glyph_records["code_point"]).tolist()
    names = [unicodedata.name(chr(code_point)) for code_point in code_points]
    assert max(map(len, names)) < NAME_SHAPE.length
    ids = encode_names(names, "names")
    assert ids.max() < NAME_SHAPE.vocabulary
    assert [written(row) for row in ids.tolist()] == names
    words = {word for script in SCRIPTS for word in script.name.upper().split("_")}
    for row in encode_names(names, "names_without_class").tolist():
        assert not words & set(written(row).replace("-", " ").split())


@pytest.mark.usefixtures("_few")
@pytest.mark.parametrize("texts", ["names", "names_without_class"])
def test_batches_have_the_name_of_what_they_show(texts: str) -> None:
    splits = load(texts=texts)
    assert splits.info.shapes == {"images": (1, 32, 32), "tokens": NAME_SHAPE}
    for split in (splits.train, splits.validation, splits.test):
        for batch in split.shuffled(batch_size=64, epoch=1, seed=0):
            assert list(batch.inputs) == ["images", "tokens"]
            assert batch.tokens.shape[1] % 8 == 0
            for row, number in zip(batch.tokens.tolist(), batch.ids.tolist(), strict=True):
                name = split.texts[number]
                assert written(row) == (name if texts == "names" else without_class(name))


@pytest.mark.usefixtures("_few")
def test_images_do_not_depend_on_the_texts() -> None:
    alone, named, hidden = load(), load(texts="names"), load(texts="names_without_class")
    assert list(next(alone.train.in_order(batch_size=4)).inputs) == ["images"]
    assert len({each.fingerprint for each in (alone, named, hidden)}) == 3
    (one,), (other,) = (each.train.in_order(batch_size=200, view=3) for each in (alone, named))
    assert torch.equal(one.images, other.images)


def test_describing_knows_the_texts() -> None:
    assert Glyphs(Glyphs.Params()).describe().also == {}
    assert Glyphs(Glyphs.Params(texts="names")).describe().also == {"tokens": NAME_SHAPE}
    with pytest.raises(ValidationError, match="'names' or 'names_without_class'"):
        Glyphs.Params(texts=True)
