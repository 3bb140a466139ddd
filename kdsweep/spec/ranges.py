"""A range in the sweep file -> the numbers of a dimension, or what is wrong with it."""

import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

RANGES = ("uniform", "loguniform", "int")
_LARGEST = 2**53  # samplers count in floats, which hold every whole number up to here


def parse_range(
    form: Mapping[Any, Any], kind: str, name: str, path: str
) -> tuple[dict[str, Any], list[str]]:
    """The fields of the ``Dimension``, and the problems; with problems the fields are stand-ins."""
    log, step = kind == "loguniform", 1
    problems = _unknown_keys(form, kind)
    if kind == "int":
        log, step = form.get("log", False), form.get("step", 1)
        problems += _int_options(log, step, form)
    bounds = form[kind]
    wrong = _bounds(bounds, kind)
    if not wrong:
        wrong = _order(bounds[0], bounds[1], log=log is True)
    if not wrong and not problems and kind == "int" and (bounds[1] - bounds[0]) % step:
        wrong = [_unreachable(bounds[0], bounds[1], step)]
    problems += wrong
    fields = {"name": name, "path": path, "kind": kind}
    if problems:
        return fields | {"low": 1, "high": 2}, problems
    number = int if kind == "int" else float
    low, high = number(bounds[0]), number(bounds[1])
    return fields | {"low": low, "high": high, "step": step, "log": log}, []


def _unknown_keys(form: Mapping[Any, Any], kind: str) -> list[str]:
    options = ("log", "step") if kind == "int" else ()
    found = []
    for key in form:
        if key in ("choice", *RANGES, *options):
            continue
        close = get_close_matches(str(key), options, n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        if key == "log" and kind == "uniform":
            hint = "; did you mean {loguniform: [low, high]}?"
        allowed = ", ".join(options) or "nothing"
        found.append(f"unknown key {key!r}{hint} (allowed beside {kind}: {allowed})")
    return found


def _int_options(log: Any, step: Any, form: Mapping[Any, Any]) -> list[str]:
    problems = []
    if not isinstance(log, bool):
        problems.append(f"log is {log!r}: must be true or false")
    if isinstance(step, bool) or not isinstance(step, int) or step < 1:
        problems.append(f"step is {step!r}: must be a whole number of at least 1")
    if log is True and "step" in form:
        problems.append("has both log and step: keep one of the two")
    return problems


def _bounds(bounds: Any, kind: str) -> list[str]:
    if not isinstance(bounds, list) or len(bounds) != 2:
        return [f"{kind} is {bounds!r}: must be [low, high]"]
    return [problem for bound in bounds for problem in _bound(bound, kind)]


def _bound(bound: Any, kind: str) -> list[str]:
    if isinstance(bound, bool) or not isinstance(bound, int | float):
        hint = " (write it without quotes)" if _reads_as_number(bound) else ""
        return [f"{bound!r} is not a number: {kind} must be [low, high]{hint}"]
    if isinstance(bound, float) and not math.isfinite(bound):
        return [f"{bound!r} is not allowed: both ends must be finite"]
    if kind == "int" and not isinstance(bound, int):
        return [f"{bound!r} is not a whole number: int must be [low, high] of whole numbers"]
    if isinstance(bound, int) and abs(bound) > _LARGEST:
        return [f"{bound!r} is not allowed: must be within -2**53..2**53"]
    return []


def _order(low: float, high: float, *, log: bool) -> list[str]:
    if low == high:
        return [f"[{low}, {high}] has one value: set it in trial, or widen the range"]
    if low > high:
        return [f"[{low}, {high}] is upside down: did you mean [{high}, {low}]?"]
    if log and low <= 0:
        return [f"{low!r} is not allowed: a logarithmic range must start above 0"]
    if not math.isfinite(high - low):
        return [f"[{low}, {high}] is not allowed: wider than a float can count"]
    return []


def _unreachable(low: int, high: int, step: int) -> str:
    below = high - (high - low) % step
    near = f"{below} or {below + step}" if below > low else f"{below + step}"
    return (
        f"{high} cannot be reached from {low} in steps of {step}: the nearest allowed end is {near}"
    )


def _reads_as_number(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        float(value)
    except ValueError:
        return False
    return True
