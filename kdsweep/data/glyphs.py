"""Pictures of characters from the fonts that Matplotlib ships, by script: made anywhere."""

import unicodedata
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, field_validator

from kdsweep.data.assembly import Part, check, in_memory
from kdsweep.data.base import DataInfo, DataSet, Extent, Splits
from kdsweep.data.character_names import NAME_SHAPE, NameTexts, encode_names, names_in_words
from kdsweep.data.glyph_cache import open_glyphs
from kdsweep.data.glyph_render import SIZE
from kdsweep.data.glyph_scripts import SCRIPTS
from kdsweep.data.partition import Index, Shares, stratified, stratified_subset
from kdsweep.data.treatment import ImageSettings, Treatment, normalisation
from kdsweep.data.views import Augment
from kdsweep.errors import unknown_name

_CLASSES = tuple(script.name for script in SCRIPTS)


class Glyphs(DataSet):
    """About 45,000 grey images of 32x32, in 25 classes: the script or block of a character.

    All styles of a character are in one split, and no picture occurs twice, so that a test image
    is of a character that was never trained on. ``texts`` of each split are the Unicode names;
    batches have them too, letter by letter, if the setting ``texts`` says so.
    """

    class Params(ImageSettings, Shares):
        """Which scripts, and how they are split, normalised and augmented."""

        classes: tuple[str, ...] | None = Field(None, description="only these scripts")
        augment: Augment = Field(Augment(crop=2), description="a mirrored letter is another")
        texts: NameTexts | None = Field(
            None, description="with each image the character's name, for networks that read"
        )

        @field_validator("classes")
        @classmethod
        def _known(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
            for name in names or ():
                if name not in _CLASSES:
                    raise ValueError(unknown_name("script", name, _CLASSES))
            if names is not None and (len(names) < 2 or len(set(names)) < len(names)):
                raise ValueError("must be two different scripts or more")
            return names

    source = "DejaVu and STIX fonts as shipped with Matplotlib, rendered by FreeType"
    params: Params

    @property
    def preparation(self) -> str:
        """Of a picture of a character, and of its name where texts are read."""
        drawn = f"a character in grey {SIZE}x{SIZE}, light on dark, about as high as the picture"
        return drawn if self.params.texts is None else f"{drawn}; {names_in_words()}"

    def describe(self) -> DataInfo:
        """The chosen scripts, without rendering; raises ``SpecError`` for unfit settings."""
        chosen = self.params.classes or _CLASSES
        info = DataInfo(
            num_classes=len(chosen),
            class_names=tuple(sorted(chosen)),
            shape=(1, SIZE, SIZE),
            also={} if self.params.texts is None else {"tokens": NAME_SHAPE},
        )
        check(info, self.params, self.params.augment)
        return info

    def extent(self) -> Extent:
        """By the characters alone; the first time on a machine renders, in seconds."""
        train, *_ = self._listed(open_glyphs(), self.describe())
        return Extent(len(train), self.params.augment.num_views)

    def promised_extent(self) -> Extent:
        """As ``extent``: every machine has the fonts."""
        return self.extent()

    def _listed(
        self, records: NDArray[Any], info: DataInfo
    ) -> tuple[Index, Index, Index, Index, Index]:
        """The records of each part; the label and the code point of every record."""
        labels = _labels(records["script"], info.class_names)
        code_points = records["code_point"].astype(np.int64)
        train, *held_out = _by_character(code_points, labels, info, self.params)
        kept = train[stratified_subset(labels[train], self.params.limit)]
        return kept, held_out[0], held_out[1], labels, code_points

    def load(self, device: torch.device) -> Splits:
        """All of it in memory on the device; the first load on a machine renders, in seconds."""
        info, params = self.describe(), self.params
        records = open_glyphs()
        *parts, labels, code_points = self._listed(records, info)
        train, validation, test = (
            _part(records["image"][index], labels[index], code_points[index], params.texts)
            for index in parts
        )
        treatment = Treatment(normalisation(params, train.images), params.augment, device)
        return in_memory(info, (train, validation, test), treatment)


def _part(images: NDArray[Any], labels: Index, code_points: Index, texts: NameTexts | None) -> Part:
    names = tuple(unicodedata.name(chr(code_point)) for code_point in code_points)
    tokens = None if texts is None else encode_names(names, texts)
    return Part(images[:, None], labels, names, tokens)


def _labels(scripts: NDArray[Any], class_names: tuple[str, ...]) -> Index:
    """The label of each record, -1 where its script is not among the classes."""
    chosen = [class_names.index(name) if name in class_names else -1 for name in _CLASSES]
    labels: Index = np.array(chosen, dtype=np.int64)[scripts]
    return labels


def _by_character(
    code_points: Index, labels: Index, info: DataInfo, params: Glyphs.Params
) -> tuple[Index, Index, Index]:
    """The records of each part; a character goes whole into one."""
    wanted = np.flatnonzero(labels >= 0)
    _, first, character = np.unique(code_points[wanted], return_index=True, return_inverse=True)
    cut = stratified(
        labels[wanted][first],
        validation=params.validation,
        test=params.test,
        seed=params.split_seed,
        class_names=info.class_names,
    )
    train, validation, test = (
        wanted[np.isin(character, part)] for part in (cut.train, cut.validation, cut.test)
    )
    return train, validation, test
