"""English that every machine has: the docstrings of Python's standard library."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, field_validator

from kdsweep.data.base import DataInfo, DataSet, Splits
from kdsweep.data.partition import Index, Partition, Shares, stratified_subset
from kdsweep.data.text.assembly import TextPart, texts_in_memory
from kdsweep.data.text.docstring_sources import SUBJECTS, Docstring, docstrings, sources
from kdsweep.data.text.group_partition import by_group
from kdsweep.data.text.settings import TextSettings
from kdsweep.data.text.tokenizer import Texts, encode, shape, texts_in_words, tokenizer_file
from kdsweep.errors import unknown_name

_CLASSES = tuple(sorted(SUBJECTS))


class Docstrings(DataSet):
    """About 3,900 texts in nine classes: the subject of the package or module.

    All docstrings of a module are in one split, and none is in two: not even after what is longer
    than ``length`` was cut off. Another version of Python has a few other texts, and so another
    fingerprint.
    """

    class Params(TextSettings, Shares):
        """Which subjects, how texts are cut into tokens, and how modules are split."""

        classes: tuple[str, ...] | None = Field(None, description="only these subjects")
        length: int = Field(64, ge=8, le=8192, description="tokens at most; the rest is cut off")

        @field_validator("classes")
        @classmethod
        def _known(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
            for name in names or ():
                if name not in _CLASSES:
                    raise ValueError(unknown_name("subject", name, _CLASSES))
            if names is not None and (len(names) < 2 or len(set(names)) < len(names)):
                raise ValueError("must be two different subjects or more")
            return names

    source = "docstrings of the standard library of the Python that runs kdsweep"
    params: Params

    def describe(self) -> DataInfo:
        """The chosen subjects; raises ``SpecError`` where sources or tokenizer are not there."""
        names = tuple(sorted(self.params.classes or _CLASSES))
        sources(names)
        return DataInfo(num_classes=len(names), class_names=names, shape=shape(self.params))

    @property
    def preparation(self) -> str:
        """Of a text."""
        return texts_in_words(self.params, pairs=False)

    def tokenizer_file(self) -> bytes:
        """That of the docstrings that are trained on, or the one that the settings name."""
        texts, _, _ = self._listed(self.describe())
        return tokenizer_file(texts[0], self.params)

    def load(self, device: torch.device) -> Splits:
        """All of it in memory on the device; sources are read in a second or two."""
        info, params = self.describe(), self.params
        texts, index, labels = self._listed(info)
        ids = encode(texts, params)
        parts = _apart([TextPart(i, labels[part]) for i, part in zip(ids, index, strict=True)])
        return texts_in_memory(info, parts, device)

    def _listed(self, info: DataInfo) -> tuple[list[Texts], tuple[Index, Index, Index], Index]:
        """The texts and the positions of each part; the label of every docstring."""
        params = self.params
        found = docstrings(info.class_names)
        labels = np.array([info.class_names.index(each.subject) for each in found], np.int64)
        cut = by_module(found, labels, params, info.class_names)
        train = cut.train[stratified_subset(labels[cut.train], params.limit)]
        index = (train, cut.validation, cut.test)
        texts = [Texts([found[position].text for position in part]) for part in index]
        return texts, index, labels


def by_module(
    found: Sequence[Docstring], labels: Index, shares: Shares, class_names: Sequence[str]
) -> Partition:
    """Positions of each part; all docstrings of a module are in one."""
    _, modules = np.unique([each.module for each in found], return_inverse=True)
    return by_group(
        modules.astype(np.int64),
        labels,
        validation=shares.validation,
        test=shares.test,
        seed=shares.split_seed,
        class_names=class_names,
    )


def _apart(parts: list[TextPart]) -> tuple[TextPart, TextPart, TextPart]:
    """No row of ids in two parts: held-out ones are kept, whatever of train they resemble."""
    train, validation, test = parts
    tested = _rows(test.ids)
    validation = _without(validation, tested)
    return _without(train, tested | _rows(validation.ids)), validation, test


def _without(part: TextPart, rows: set[bytes]) -> TextPart:
    kept: Index = np.array([k for k, row in enumerate(part.ids) if row.tobytes() not in rows])
    return TextPart(part.ids[kept], part.labels[kept])


def _rows(ids: NDArray[Any]) -> set[bytes]:
    return {row.tobytes() for row in ids}
