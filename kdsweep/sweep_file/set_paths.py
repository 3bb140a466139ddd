"""Settings given beside a file, as ``student.width=16``, put into what the file says."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from kdsweep.errors import SpecError
from kdsweep.sweep_file.read import parse_yaml

NO_SETTINGS: Mapping[str, Any] = MappingProxyType({})
_OPTION = "--set"


def parse_settings(given: Iterable[str]) -> dict[str, Any]:
    """``path=value`` texts by path; each value is read as in a file, as YAML.

    Raises:
        SpecError: every one that has no such form, is no YAML, or is given twice.
    """
    found: dict[str, Any] = {}
    problems = []
    for text in given:
        path, equals, value = text.partition("=")
        path = path.strip()
        if not equals or not path:
            problems.append(f"{text!r} is not allowed: must be PATH=VALUE, as student.width=16")
        elif path in found:
            problems.append(f"{path} is given twice: keep one of the two")
        elif path.split(".")[0] == "trial":
            inner = path.partition(".")[2] or "student.width"
            problems.append(f"{path} is not allowed: paths are of the trial, as {inner}")
        else:
            try:
                found[path] = _value(value)
            except SpecError as error:
                problems += [f"{path}: {problem}" for problem in error.problems]
    if problems:
        raise SpecError(f"{_OPTION}: {problem}" for problem in problems)
    return found


def put_settings(raw: dict[str, Any], settings: Mapping[str, Any]) -> None:
    """Put values into the ``trial`` of a file's plain data, unchecked.

    What is given by its name alone, as ``optimizer: sgd``, gets the settings beside its name.

    Raises:
        SpecError: a path leads below something that has nothing below it.
    """
    for path, value in settings.items():
        *parents, last = ["trial", *path.split(".")]
        place = raw
        for depth, key in enumerate(parents):
            below = place.get(key)
            if isinstance(below, str) and depth:
                below = {"name": below}
            below = {} if below is None else below
            if not isinstance(below, dict):
                above = ".".join(parents[1 : depth + 1]) or "trial"
                raise SpecError(
                    f"{_OPTION}: {path} leads nowhere: {above} is {below!r}, with nothing below it"
                )
            place[key] = place = dict(below)
        place[last] = value


def _value(text: str) -> Any:
    try:
        raw, problems = parse_yaml(f"value: {text}")
    except SpecError as error:
        # Where in our own line it is wrong is of no use.
        told = (problem.partition(": ")[2] or problem for problem in error.problems)
        raise SpecError(f"{text!r} is not YAML: {'; '.join(told)}") from None
    if problems or set(raw) != {"value"}:
        raise SpecError(f"{text!r} is not one value")
    return raw["value"]
