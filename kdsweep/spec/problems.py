"""Pydantic's complaints as sentences: where, what was found, what is allowed, the nearest name."""

import math
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from kdsweep.spec.allowed import how_many, must_be, tags
from kdsweep.spec.labels import short

_LIMITS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_COUNTS = {
    "too_long": "entries",
    "too_short": "entries",
    "string_too_long": "characters",
    "string_too_short": "characters",
}


def sentences(error: ValidationError, model: type[BaseModel], *, at: str = "") -> list[str]:
    """One sentence per problem of ``error``, its path under ``at``.

    ``model`` is the class that refused: its fields give the names that an unknown key is near to.
    """
    return [_sentence(dict(problem), model, at) for problem in error.errors(include_url=False)]


def dotted(parts: Iterable[object]) -> str:
    """A path as the sweep file writes it."""
    return ".".join(str(part) for part in parts if str(part) != "")


def as_written(model: type[BaseModel], loc: tuple[object, ...]) -> list[object]:
    """``loc`` without what pydantic adds to it: the tags of unions, and ``[key]`` for a key."""
    written: list[object] = []
    candidates: list[type[BaseModel]] = [model]
    for part in loc:
        if part == "[key]" or (part in map(_tag, candidates) and not _below(candidates, part)):
            continue
        written.append(part)
        candidates = _below(candidates, part) or candidates
    return written


def _sentence(problem: dict[str, Any], model: type[BaseModel], at: str) -> str:
    loc, kind, context = problem["loc"], problem["type"], problem.get("ctx", {})
    path, found = dotted((at, *as_written(model, loc))), problem["input"]
    said = _as_found(kind, loc, found, context, model)
    if said is None:
        message = str(problem["msg"]).removeprefix("Value error, ")
        said = message if kind == "value_error" and isinstance(found, dict | BaseModel) else ""
        said = said or _of_value(as_yaml(found), message)
    return f"{path}: {said}" if path else said


def _of_value(shown: str, message: str) -> str:
    if message.startswith(shown):
        return message
    return f"{shown}{' ' if message.startswith('is not allowed') else ': '}{message}"


def _as_found(
    kind: str, loc: tuple[Any, ...], found: Any, context: dict[str, Any], model: type[BaseModel]
) -> str | None:
    """What was found and what is allowed; ``None`` where pydantic's own words will do."""
    shown = as_yaml(found)
    if kind == "extra_forbidden":
        names = sorted(_fields_at(model, loc[:-1]))
        allowed = ", ".join(names) if names else "no settings"
        return f"unknown key {loc[-1]!r}{_nearest(loc[-1], names, 0.5)} (allowed: {allowed})"
    if kind == "missing":
        return "is missing"
    if kind == "string_pattern_mismatch":
        return f"{shown} is not allowed: must match {context['pattern']}"
    if kind in _LIMITS:
        key, words = _LIMITS[kind]
        return f"{shown} is not allowed: must be {words} {context[key]}"
    if kind in ("literal_error", "enum", "union_tag_invalid"):
        allowed = str(context.get("expected") or context.get("expected_tags"))
        value = context.get("tag", found)
        names = [word.strip(" '") for word in allowed.replace(" or ", ",").split(",")]
        return f"{as_yaml(value)} is not allowed{_nearest(value, names, 0.6)} (allowed: {allowed})"
    if kind in _COUNTS:
        return how_many(found, context, _COUNTS[kind])
    field, below = _place(model, as_written(model, loc))
    if kind == "union_tag_not_found":
        return f"{shown} has no name (allowed: {', '.join(tags(below))})"
    words = must_be(kind, found, field, below)
    return f"{shown} is not allowed: must be {words}" if words else None


def as_yaml(value: Any) -> str:
    """A value as a sweep file may write it, cut off if it is long."""
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else f"{'-' if value < 0 else ''}.inf"
    return {None: "null", True: "true", False: "false"}[value] if _is_word(value) else short(value)


def _is_word(value: Any) -> bool:
    return value is None or isinstance(value, bool)


def _nearest(value: object, names: Iterable[str], cutoff: float) -> str:
    close = get_close_matches(str(value), list(names), n=1, cutoff=cutoff)
    return f"; did you mean {close[0]!r}?" if close else ""


def _place(
    model: type[BaseModel], path: Sequence[object]
) -> tuple[FieldInfo | None, list[type[BaseModel]]]:
    """The field that a path leads to, where it is one, and the settings that may stand there."""
    candidates: list[type[BaseModel]] = [model]
    field: FieldInfo | None = None
    for part in path:
        own = [c.model_fields[str(part)] for c in candidates if str(part) in c.model_fields]
        field = own[0] if own else None
        candidates = _below(candidates, part) if own else candidates
    return field, candidates


def _below(candidates: list[type[BaseModel]], part: object) -> list[type[BaseModel]]:
    fields = (candidate.model_fields.get(str(part)) for candidate in candidates)
    return [model for field in fields if field for model in _models_in(field.annotation)]


def _fields_at(model: type[BaseModel], loc: tuple[object, ...]) -> set[str]:
    """The names allowed where ``loc`` leads, through nested settings and unions."""
    candidates: list[type[BaseModel]] = [model]
    for part in loc:
        deeper: list[type[BaseModel]] = []
        for candidate in candidates:
            field = candidate.model_fields.get(str(part))
            if field is not None:
                deeper += _models_in(field.annotation)
            elif isinstance(part, str) and _tag(candidate) == part:
                deeper.append(candidate)
        candidates = deeper or candidates
    return {name for candidate in candidates for name in candidate.model_fields}


def _tag(model: type[BaseModel]) -> object:
    field = model.model_fields.get("name")
    return field.default if field else None


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]
