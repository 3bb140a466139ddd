import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from kdsweep.data import glyphs
from kdsweep.data.glyph_render import STYLES
from kdsweep.data.glyph_scripts import SCRIPTS, script_of
from kdsweep.data.glyphs import Glyphs
from kdsweep.data.memory import InMemorySplit

CPU = torch.device("cpu")
Records = NDArray[np.void]


@pytest.fixture
def few(glyph_records: Records, monkeypatch: pytest.MonkeyPatch) -> Records:
    """Three small scripts of the rendered ones, in the place of them all."""
    wanted = [k for k, script in enumerate(SCRIPTS) if script.name in ("lao", "hebrew", "armenian")]
    chosen = glyph_records[np.isin(glyph_records["script"], wanted)]
    monkeypatch.setattr(glyphs, "open_glyphs", lambda: chosen)
    return chosen


def load(**settings: object) -> tuple[InMemorySplit, InMemorySplit, InMemorySplit]:
    chosen = {"classes": ("lao", "hebrew", "armenian"), **settings}
    splits = Glyphs(Glyphs.Params(**chosen)).load(CPU)
    assert splits.num_views == 8
    return splits.train, splits.validation, splits.test


def test_a_cifar_sized_set_of_many_scripts(glyph_records: Records) -> None:
    counts = np.bincount(glyph_records["script"], minlength=len(SCRIPTS))
    characters = [
        len(np.unique(glyph_records["code_point"][glyph_records["script"] == script]))
        for script in range(len(SCRIPTS))
    ]
    assert 40_000 < len(glyph_records) < 60_000
    assert len(SCRIPTS) == 25
    assert min(counts) >= 200
    assert min(characters) >= 50
    assert set(glyph_records["style"]) == set(range(len(STYLES)))


def test_no_picture_is_blank_or_occurs_twice(glyph_records: Records) -> None:
    pictures = glyph_records["image"]
    assert pictures.max((1, 2)).min() > 0
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)


def test_ink_stays_off_the_rim_of_all_but_the_largest(glyph_records: Records) -> None:
    touching = np.ones((32, 32), bool)
    touching[1:-1, 1:-1] = False
    share = (glyph_records["image"][:, touching].max(1) > 0).mean()
    assert share < 0.05


@pytest.mark.parametrize(
    ("character", "script"),
    [("A", "latin"), ("ß", "latin"), ("Ω", "greek"), ("Ж", "cyrillic"), ("ش", "arabic"),
     ("א", "hebrew"), ("ნ", "georgian"), ("Ք", "armenian"), ("ᐃ", "canadian_syllabics"),
     ("⠗", "braille"), ("╬", "box_drawing"), ("⇒", "arrows"), ("∑", "mathematical_operators"),
     ("\N{MATHEMATICAL FRAKTUR CAPITAL A}", "mathematical_letters"),
     ("½", "numbers"), ("7", "numbers"), ("♞", "pictographs"),
     ("!", "punctuation"), ("😀", "emoticons"), (" ", None), ("中", None), ("\x00", None),
     ("\N{MATHEMATICAL BOLD CAPITAL A}", None)],
)  # fmt: skip
def test_script_of(character: str, script: str | None) -> None:
    index = script_of(ord(character))
    assert (None if index is None else SCRIPTS[index].name) == script


def test_every_character_belongs_to_one_script(glyph_records: Records) -> None:
    for code_point in np.unique(glyph_records["code_point"]).tolist():
        assert sum(script.holds(code_point) for script in SCRIPTS) == 1, hex(code_point)


def test_a_character_never_straddles_splits(few: Records) -> None:
    parts = load()
    assert sum(part.num_samples for part in parts) == len(few)
    texts = [set(part.texts) for part in parts]
    assert not texts[0] & texts[1]
    assert not texts[0] & texts[2]
    assert not texts[1] & texts[2]
    assert texts[0] | texts[1] | texts[2] == {unicodedata.name(chr(c)) for c in few["code_point"]}


def test_texts_and_labels_are_those_of_the_pictures(few: Records) -> None:
    by_picture = {record["image"].tobytes(): record for record in few}
    names = ("armenian", "hebrew", "lao")
    for part in load():
        assert len(part.texts) == part.num_samples
        for image, label, text in zip(part.images, part.labels.tolist(), part.texts, strict=True):
            record = by_picture[image.numpy().tobytes()]
            assert text == unicodedata.name(chr(record["code_point"]))
            assert names[label] == SCRIPTS[record["script"]].name
            assert text.split()[0].lower() == names[label]


def test_characters_of_each_script_keep_their_shares(few: Records) -> None:
    parts = load(validation=0.25, test=0.25)
    for label in range(3):
        held = [
            len({text for text, each in zip(part.texts, part.labels, strict=True) if each == label})
            for part in parts
        ]
        assert held[1] == pytest.approx(sum(held) / 4, abs=1)
        assert held[2] == pytest.approx(sum(held) / 4, abs=1)


def test_limit(few: Records) -> None:
    train, validation, _ = load(limit=90)
    assert train.num_samples == len(train.texts) == 90
    assert validation.num_samples == load()[1].num_samples


def test_describing_does_not_render(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDSWEEP_CACHE", str(tmp_path))
    info = Glyphs(Glyphs.Params()).describe()
    assert (info.num_classes, info.shape) == (25, (1, 32, 32))
    assert info.class_names == tuple(script.name for script in SCRIPTS)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_script_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValidationError, match="no script named 'latn'; did you mean 'latin'"):
        Glyphs.Params(classes=("latn", "greek"))
    with pytest.raises(ValidationError, match="two different scripts"):
        Glyphs.Params(classes=("greek", "greek"))
