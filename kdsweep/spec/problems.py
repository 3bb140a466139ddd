"""Pydantic's complaints as sentences: where, what was found, what is allowed, the nearest name."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

_LIMITS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
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
    if kind == "extra_forbidden":
        names = sorted(_fields_at(model, loc[:-1]))
        close = get_close_matches(str(loc[-1]), names, n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        allowed = ", ".join(names) if names else "no settings"
        return f"{path}: unknown key {loc[-1]!r}{hint} (allowed: {allowed})"
    if kind == "missing":
        return f"{path}: is missing"
    if kind == "string_pattern_mismatch":
        return f"{path}: {found!r} is not allowed: must match {context['pattern']}"
    if kind in _LIMITS:
        key, words = _LIMITS[kind]
        return f"{path}: {found!r} is not allowed: must be {words} {context[key]}"
    if kind in ("literal_error", "enum", "union_tag_invalid"):
        allowed = str(context.get("expected") or context.get("expected_tags"))
        value = context.get("tag", found)
        near = get_close_matches(
            str(value), [word.strip(" '") for word in allowed.replace(" or ", ",").split(",")], n=1
        )
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"{path}: {value!r} is not allowed{hint} (allowed: {allowed})"
    message = str(problem["msg"]).removeprefix("Value error, ")
    shown = "" if kind == "value_error" and isinstance(found, dict) else f"{found!r}: "
    return f"{path}: {shown}{message}" if path else f"{shown}{message}"


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
