"""What is allowed at a place of the settings, in words: for what pydantic says in its own terms."""

from collections.abc import Iterable, Mapping, Sequence, Sized
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kdsweep.spec.settings import Component, Settings

_WHOLE = ("int_type", "int_parsing", "int_parsing_size", "int_from_float")
_NUMBER = ("float_type", "float_parsing")
_MAPPING = ("dict_type", "model_type", "model_attributes_type")
_BOUNDS = ((Gt, "gt", "greater than"), (Ge, "ge", "at least"), (Lt, "lt", "less than"),
           (Le, "le", "at most"))  # fmt: skip


def must_be(
    kind: str, found: Any, field: FieldInfo | None, below: Sequence[type[BaseModel]]
) -> str:
    """What a value must be that pydantic refused as ``kind``; empty for kinds that say it well.

    ``field`` is the setting, where it is one, and ``below`` are the settings that it may hold.
    """
    if kind in _WHOLE:
        words = f"a whole number{_bounds(field)}"
    elif kind in _NUMBER:
        words = f"a number{_bounds(field)}"
    elif kind == "finite_number":
        whole = field is not None and int in _members(field.annotation)
        words = f"a finite {'whole ' if whole else ''}number{_bounds(field)}"
    elif kind in ("bool_type", "bool_parsing"):
        words = "true or false"
    elif kind == "string_type":
        plain = isinstance(found, int | float)
        words = "text: put it in quotes" if plain else "text"
    elif kind in ("list_type", "tuple_type"):
        words = "a list" if isinstance(found, Sized) else f"a list, as [{found}]"
    elif kind in _MAPPING:
        words = _mapping(found, field, () if kind == "dict_type" else below)
    else:
        return ""
    return f"null, or {words}" if field is not None and _may_be_null(field) else words


def how_many(found: Sized, context: Mapping[str, Any], noun: str) -> str:
    """What is wrong with the number of entries or characters."""
    given, most = len(found), context.get("max_length")
    if most is not None:
        return f"has {given} {noun}: at most {most} are allowed, remove {given - most} or more"
    return f"has {given} {noun}: must have {context['min_length']} or more"


def tags(below: Iterable[type[BaseModel]]) -> list[str]:
    """The names by which the settings that may stand at one place are told apart."""
    fields = (model.model_fields.get("name") for model in below)
    return sorted(str(field.default) for field in fields if field is not None)


def _mapping(found: Any, field: FieldInfo | None, below: Sequence[type[BaseModel]]) -> str:
    if len(below) > 1:
        return f"a name, or a mapping with a name and settings (names: {', '.join(tags(below))})"
    if not below:
        return f"a mapping{_entries(field)}"
    (model,) = below
    if issubclass(model, Component):
        return "a name, or a mapping with a name and settings, as {name: NAME, SETTING: VALUE}"
    example = model.example if issubclass(model, Settings) else ""
    # A path is no name.
    named = isinstance(found, str) and found and not set(found) & set("/\\. ")
    word = found if named and "WORD" in example else "NAME"
    shown = f", as {example.replace('WORD', word)}" if example else ""
    return f"a mapping of {', '.join(model.model_fields)}{shown}"


def _entries(field: FieldInfo | None) -> str:
    """The keys and values of a mapping of names, where they are few."""
    key, value = (*get_args(field.annotation), None, None)[:2] if field is not None else (None,) * 2
    if get_origin(key) is not Literal:
        return ""
    keys = ", ".join(map(str, get_args(key)))
    if get_origin(value) is Literal:
        return f" of {keys} to {' or '.join(map(str, get_args(value)))}"
    return f" of {keys}"


def _bounds(field: FieldInfo | None) -> str:
    found = [
        f", {words} {getattr(limit, key)}"
        for limit in (field.metadata if field is not None else ())
        for kind, key, words in _BOUNDS
        if isinstance(limit, kind)
    ]
    return "".join(found)


def _may_be_null(field: FieldInfo) -> bool:
    return NoneType in _members(field.annotation)


def _members(annotation: Any) -> tuple[Any, ...]:
    return (annotation, *get_args(annotation))
