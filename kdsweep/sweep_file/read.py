"""Text -> plain data: the safe YAML loader, its complaints with line and column."""

import io
from datetime import date
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from kdsweep.errors import SpecError, redacted

_LARGEST_FILE = 4 * 2**20
_MOST_VALUES = 200_000
_DEEPEST = 40


def read_text(path: Path) -> str:
    """The text of a sweep or trial file.

    Raises:
        SpecError: there is no such file, or it is not text.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        if len(content) > _LARGEST_FILE:
            raise SpecError("is larger than 4 MiB: a sweep file is a short text", source=path)
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        raise SpecError("no such file", source=path) from None
    except UnicodeDecodeError as error:
        raise SpecError(f"is not UTF-8 text (at byte {error.start})", source=path) from None
    except IsADirectoryError:
        raise SpecError(f"is a folder, and a file is wanted: {_in(path)}", source=path) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SpecError(f"cannot be read: {reason}", source=path) from None


def _in(folder: Path) -> str:
    """What to give in place of a folder."""
    if (folder / "trial.yaml").is_file():
        return f"give {folder / 'trial.yaml'}"
    if (folder / "sweep.yaml").is_file():
        return (
            f"of a run give {folder / 'sweep.yaml'}, or {folder / 'trials' / 'ID' / 'trial.yaml'} "
            "of a trial"
        )
    found = sorted(each.name for each in folder.glob("*.yaml"))
    if found:
        more = f", or another of its {len(found)} .yaml files" if len(found) > 1 else ""
        return f"give {folder / found[0]}{more}"
    return "a sweep file, or RUN/trials/ID/trial.yaml of a trial that a run has recorded"


def parse_yaml(text: str) -> tuple[dict[str, Any], list[str]]:
    """The mapping of a file as plain data, and what in it is not plain.

    YAML 1.2, so ``1e-3`` is a number and ``no`` is text. Not plain are dates, binaries, sets and
    keys that are no text: each is a problem, and text stands in for it.

    Raises:
        SpecError: it is not YAML, has unknown tags or a key twice, or is no mapping.
    """
    try:
        raw = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise SpecError(_complaint(error, text)) from None
    except RecursionError:
        raise SpecError(f"is nested deeper than {_DEEPEST} levels") from None
    if not isinstance(raw, dict):
        found = "is empty" if raw is None else f"holds {type(raw).__name__} {_short(raw)}"
        raise SpecError(f"{found}: must be a mapping that starts with name: or trial:")
    copier = _Plain()
    plain: dict[str, Any] = copier.copy(raw, ())
    return plain, copier.problems


def to_yaml(data: Any) -> str:
    """Plain data as YAML that ``parse_yaml`` reads back to the same."""
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    writer.width = 4096
    buffer = io.StringIO()
    writer.dump(data, buffer)
    return buffer.getvalue()


def _complaint(error: Exception, text: str) -> str:
    if isinstance(error, ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return f"line {line}: the character {error.character!r} is not allowed in YAML"
    if not isinstance(error, MarkedYAMLError):
        return f"is not YAML: {_short(error)}"
    mark = error.problem_mark or error.context_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    problem = str(error.problem or error.context)
    if "could not determine a constructor for the tag" in problem:
        tag = problem.split("'")[1].replace("tag:yaml.org,2002:", "!!")
        return f"{where}the tag {tag} is not allowed: a sweep file holds plain data only"
    if isinstance(error, DuplicateKeyError):
        return f"{where}{problem.split(' with value')[0]}: keep one of the two"
    if "found another document" in problem:
        return f"{where}a second document starts here: keep one for each file"
    return f"{where}{problem}"


class _Plain:
    """Copies what the loader gave, within limits: aliases can grow without bound, or in circles."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.num_values = 0

    def copy(self, value: Any, at: tuple[str, ...]) -> Any:
        self.num_values += 1
        if self.num_values > _MOST_VALUES:
            raise SpecError(f"holds more than {_MOST_VALUES} values, aliases written out")
        if len(at) > _DEEPEST:
            raise SpecError(f"is nested deeper than {_DEEPEST} levels, aliases written out")
        if isinstance(value, dict):
            copied = {}
            for key, inner in value.items():
                if not isinstance(key, str):
                    self._refuse(at, f"the key {_short(key)} is not text: put it in quotes")
                copied[str(key)] = self.copy(inner, (*at, str(key)))
            return copied
        if isinstance(value, list):
            return [self.copy(inner, (*at, str(i))) for i, inner in enumerate(value)]
        if value is None or isinstance(value, bool | int | float | str):
            return value
        what = "a date: put it in quotes" if isinstance(value, date) else "not plain data"
        self._refuse(at, f"{_short(value)} is {what}")
        return str(value)

    def _refuse(self, at: tuple[str, ...], sentence: str) -> None:
        where = ".".join(at)
        self.problems.append(f"{where}: {sentence}" if where else sentence)


def _short(value: Any) -> str:
    text = redacted(str(value) if isinstance(value, Exception | date) else repr(value))
    text = text.splitlines()[0] if text else type(value).__name__
    return text if len(text) <= 60 else text[:57] + "..."
