"""Rows of a CSV file or of JSON lines: texts with their labels, and what is wrong with them."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kdsweep.errors import SpecError

_JSON, _TABLES = (".jsonl", ".ndjson", ".json"), {".csv": ",", ".tsv": "\t"}
SUFFIXES = (*_TABLES, *_JSON)
MOST_PROBLEMS = 20


@dataclass(frozen=True)
class Columns:
    """Which columns are read: the text, a second text where texts go by two, and the label.

    ``header`` are the names of all columns, where the file does not begin with them.
    """

    text: str
    label: str
    pair: str | None = None
    header: tuple[str, ...] | None = None

    @property
    def wanted(self) -> tuple[str, ...]:
        """The names of those that are read."""
        return tuple(dict.fromkeys(each for each in (self.text, self.pair, self.label) if each))


@dataclass
class Rows:
    """Texts, second texts, labels and line numbers of a file, all of one length."""

    path: Path
    texts: list[str] = field(default_factory=list)
    pairs: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)

    def where(self, position: int) -> str:
        """File and line of a row."""
        return f"{self.path}, line {self.lines[position]}"


def read_rows(path: Path, columns: Columns) -> Rows:
    """All rows of a file, in its order; empty lines are passed over.

    ``.csv`` has commas and quotes as RFC 4180, ``.tsv`` tabs and no quotes, as the files of GLUE;
    ``.jsonl`` one object a line.

    Raises:
        SpecError: the first problems of the file, each with its line.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise SpecError(
            f"data.path: {path} is of no known kind: its name must end in {', '.join(SUFFIXES)}"
        )
    if columns.header is not None and path.suffix.lower() in _JSON:
        raise SpecError(f"data.columns: is not allowed with {path}: JSON names the columns itself")
    rows, problems = Rows(path), list[str]()
    try:
        for line, found in _records(path, columns):
            if isinstance(found, str):
                problems.append(f"{path}, line {line}: {found}")
            else:
                problems += _add(rows, line, found, columns)
            if len(problems) >= MOST_PROBLEMS:
                problems.append(f"{path}: nothing is read after so many problems")
                break
    except SpecError as error:
        problems += error.problems
    if not rows.texts and not problems:
        problems.append(f"data.path: {path} has no rows")
    if problems:
        raise SpecError(problems)
    return rows


Record = dict[str, Any] | str
"""The wanted columns of a row, or the sentence of what is wrong with it."""


def _records(path: Path, columns: Columns) -> Iterator[tuple[int, Record]]:
    if path.suffix.lower() in _JSON:
        return _json_records(path)
    return _table_records(path, columns, _TABLES[path.suffix.lower()])


def _lines(path: Path) -> Iterator[str]:
    """Decoded lines with their ends; a byte order mark is passed over."""
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                try:
                    yield raw.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise SpecError(
                        f"{path}, line {number}: byte {error.start + 1} "
                        f"(0x{raw[error.start]:02x}) is not UTF-8: save the file as UTF-8"
                    ) from error
    except FileNotFoundError as error:
        raise SpecError(f"data.path: {str(path)!r} does not exist") from error
    except OSError as error:
        raise SpecError(f"data.path: {path} cannot be read: {error.strerror}") from error


def _table_records(path: Path, columns: Columns, mark: str) -> Iterator[tuple[int, Record]]:
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if mark == "," else csv.QUOTE_NONE
    reader = csv.reader(_lines(path), delimiter=mark, quoting=quoting, strict=True)
    try:
        header = list(columns.header) if columns.header else next(reader, None)
        if header is None:
            return
        places = _places(path, header, columns)
        for row in reader:
            if len(row) == len(header):
                yield reader.line_num, {name: row[place] for name, place in places.items()}
            elif row:
                found = f"{len(row)} field{'s' * (len(row) != 1)}"
                yield reader.line_num, f"has {found}, and there are {len(header)} columns"
    except csv.Error as error:
        raise SpecError(
            f"{path}, line {reader.line_num}: {error} (a quote that is not closed makes one field "
            "of all that follows; in a .csv file a quote within quotes is doubled)"
        ) from error


def _places(path: Path, header: Sequence[str], columns: Columns) -> dict[str, int]:
    problems = []
    for name in columns.wanted:
        if header.count(name) != 1:
            how = "no column" if name not in header else "more than one column"
            have = ", ".join(map(repr, header[:50]))
            problems.append(f"{path}: has {how} named {name!r} (has: {have})")
    if problems:
        raise SpecError(problems)
    return {name: header.index(name) for name in columns.wanted}


def _json_records(path: Path) -> Iterator[tuple[int, Record]]:
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield number, f"is not JSON: {error}; there must be one object a line"
            continue
        if not isinstance(found, dict):
            yield number, f"is no JSON object but a {type(found).__name__}: one object a line"
        else:
            yield number, found


def _add(rows: Rows, line: int, found: dict[str, Any], columns: Columns) -> list[str]:
    """Append a row; the sentences of what it lacks, if it does."""
    missing = [name for name in columns.wanted if name not in found]
    if missing:
        have = ", ".join(map(repr, list(found)[:50]))
        return [f"{rows.path}, line {line}: has no {name!r} (has: {have})" for name in missing]
    texts = [name for name in (columns.text, columns.pair) if name is not None]
    problems = [problem for name in texts if (problem := _text_problem(name, found[name]))]
    label = found[columns.label]
    if not isinstance(label, str | int) or not str(label).strip():
        problems.append(f"{columns.label!r} is {label!r}: a label must be a word or a whole number")
    if problems:
        return [f"{rows.path}, line {line}: {problem}" for problem in problems]
    rows.texts.append(found[columns.text])
    if columns.pair is not None:
        rows.pairs.append(found[columns.pair])
    rows.labels.append(str(label).strip())
    rows.lines.append(line)
    return []


def _text_problem(name: str, value: Any) -> str | None:
    if not isinstance(value, str):
        return f"{name!r} is of type {type(value).__name__}: a text must be a string"
    try:
        value.encode()
    except UnicodeEncodeError:
        return f"{name!r} has half of a surrogate pair: it is no text"
    return None
