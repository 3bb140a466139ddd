"""Texts of one's own: CSV, TSV or JSON lines."""

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import BeforeValidator, Field, field_validator, model_validator

from kdsweep.data.base import DataInfo, DataSet, Extent, Splits
from kdsweep.data.decoded import Listing, list_splits, survey_of
from kdsweep.data.partition import Index, Shares, share_problems, stratified_subset
from kdsweep.data.survey import Survey
from kdsweep.data.text.assembly import TextPart, texts_in_memory
from kdsweep.data.text.rows import MOST_PROBLEMS, Columns, Rows, read_rows
from kdsweep.data.text.settings import TextSettings
from kdsweep.data.text.tokenizer import (
    Texts,
    encode,
    promised_shape,
    shape,
    texts_in_words,
    tokenizer_file,
)
from kdsweep.errors import SpecError
from kdsweep.spec import Settings
from kdsweep.spec.settings import LocalPath


class Files(Settings):
    """One file for each part; a part without a file is taken from train by its share."""

    train: LocalPath
    validation: LocalPath | None = None
    test: LocalPath | None = None


def _one_file(value: object) -> object:
    return {"train": value} if isinstance(value, str) else value


class TextFiles(DataSet):
    """Labelled texts, or pairs of texts, from files with columns.

    Rows are taken as they are: one that occurs in two files stays in both.
    """

    class Params(TextSettings, Shares):
        """Which files and columns, how texts are cut into tokens, and how rows are split."""

        path: Annotated[Files, BeforeValidator(_one_file)] = Field(
            description="a file, or {train, validation, test}"
        )
        text: str = Field("text", min_length=1, description="the column of the texts")
        pair: str | None = Field(
            None, min_length=1, description="the column of second texts, joined by [SEP]"
        )
        label: str = Field("label", min_length=1, description="the column of the classes")
        columns: tuple[str, ...] | None = Field(
            None, description="names of all columns, where a table does not begin with them"
        )
        classes: tuple[str, ...] | None = Field(
            None, description="all labels, in the order of the networks' outputs; else sorted"
        )

        @field_validator("classes")
        @classmethod
        def _different(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
            if names is not None and (len(names) < 2 or len(set(names)) < len(names)):
                raise ValueError("must be two different labels or more")
            return names

        @model_validator(mode="after")
        def _own_columns(self) -> "TextFiles.Params":
            wanted = [name for name in (self.text, self.pair, self.label) if name is not None]
            if len(set(wanted)) < len(wanted):
                raise ValueError(f"text, pair and label are {wanted}: must be different columns")
            return self

    source = "files of labelled texts"
    params: Params

    def describe(self) -> DataInfo:
        """Classes by the labels of the training file; raises ``SpecError`` for what is wrong."""
        parts = self._parts
        problems = share_problems(self.params, parts, of="data.path")
        if problems:
            raise SpecError(problems)
        names = self._class_names
        _ = self._listings  # a class that has too few rows to be split is found here
        return DataInfo(num_classes=len(names), class_names=names, shape=shape(self.params))

    def promised(self) -> DataInfo:
        """Classes by the settings, and the vocabulary of a well-known model; else by the files.

        Raises:
            SpecError: the settings are wrong, or the files are opened and something is wrong.
        """
        params = self.params
        if params.classes is None:
            return self.describe()
        parts = [part for part, path in params.path.model_dump().items() if path is not None]
        problems = share_problems(params, parts, of="data.path")
        if problems:
            raise SpecError(problems)
        return DataInfo(len(params.classes), params.classes, promised_shape(params))

    def extent(self) -> Extent:
        """By the rows of the files; there is one view of a text."""
        kept = stratified_subset(self._listings[0].labels, self.params.limit)
        return Extent(len(kept), num_views=1)

    def survey(self, *, training: bool = True) -> Survey:
        """By the rows of the files, which ``describe`` has read."""
        self.describe()
        return survey_of(self._listings, self.params.limit)

    def load(self, device: torch.device) -> Splits:
        """All of it in memory on the device."""
        info, params = self.describe(), self.params
        train, *held_out = self._listings
        kept = train.index[stratified_subset(train.labels, params.limit)]
        every = np.concatenate(list(self._labels.values()))
        index = (kept, *(each.index for each in held_out))
        ids = encode([self._texts(part) for part in index], params)
        parts = [TextPart(each, every[part]) for each, part in zip(ids, index, strict=True)]
        return texts_in_memory(info, (parts[0], parts[1], parts[2]), device)

    @property
    def preparation(self) -> str:
        """Of a text, or of a pair."""
        return texts_in_words(self.params, pairs=self.params.pair is not None)

    def tokenizer_file(self) -> bytes:
        """That of the texts that are trained on, or the one that the settings name."""
        return tokenizer_file(self._training_texts, self.params)

    @property
    def _training_texts(self) -> Texts:
        train = self._listings[0]
        return self._texts(train.index[stratified_subset(train.labels, self.params.limit)])

    @cached_property
    def _parts(self) -> dict[str, Rows]:
        """The rows of each part that has a file."""
        params = self.params
        columns = Columns(params.text, params.label, params.pair, params.columns)
        parts, problems = {}, list[str]()
        for part, path in params.path.model_dump().items():
            if path is None:
                continue
            try:
                parts[part] = read_rows(Path(path), columns)
            except SpecError as error:
                problems += error.problems
        if problems:
            raise SpecError(problems)
        return parts

    @cached_property
    def _class_names(self) -> tuple[str, ...]:
        train = self._parts["train"]
        names = self.params.classes or _sorted(set(train.labels))
        if len(names) < 2:
            raise SpecError(
                f"data.label: all {len(train.labels)} rows of {train.path} have the "
                f"{self.params.label} {names[0]!r}: there must be two different ones or more"
            )
        missing = sorted(set(names) - set(train.labels))
        if missing:
            raise SpecError(
                f"data.classes: {', '.join(map(repr, missing))}: no row of {train.path} has this "
                f"{self.params.label}"
            )
        problems = [
            f"{rows.where(k)}: the label {label!r} is not one of those of "
            f"{'data.classes' if self.params.classes else 'the training file'}"
            for rows in self._parts.values()
            for k, label in enumerate(rows.labels)
            if label not in names
        ]
        if problems:
            raise SpecError(problems[:MOST_PROBLEMS])
        return names

    @cached_property
    def _labels(self) -> dict[str, Index]:
        """The numbers of the classes of each part that has a file."""
        numbers = {name: number for number, name in enumerate(self._class_names)}
        return {
            part: np.array([numbers[label] for label in rows.labels], np.int64)
            for part, rows in self._parts.items()
        }

    @cached_property
    def _listings(self) -> tuple[Listing, Listing, Listing]:
        """Which rows are for training, validation and test."""
        return list_splits(self._labels, self.params, self._class_names)

    def _texts(self, positions: Index) -> Texts:
        """The rows at positions, counted through all files in order."""
        texts = [text for rows in self._parts.values() for text in rows.texts]
        pairs = [text for rows in self._parts.values() for text in rows.pairs]
        second = [pairs[position] for position in positions] if pairs else None
        return Texts([texts[position] for position in positions], second)


def _sorted(labels: set[str]) -> tuple[str, ...]:
    """Whole numbers by their size, all else by the alphabet."""
    if all(re.fullmatch(r"-?\d+", label) for label in labels):
        return tuple(sorted(labels, key=lambda label: (int(label), label)))
    return tuple(sorted(labels))
