"""The ``space:`` of a sweep file -> trees, with every problem found on the way."""

import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from kdsweep.spec.branch import Branch, Constant, Draw, Node, Together
from kdsweep.spec.dimension import Dimension, Label, same
from kdsweep.spec.labels import is_key, labels_of, short
from kdsweep.spec.ranges import RANGES, parse_range
from kdsweep.spec.together import TOGETHER, overlaps, wrong_members

KINDS = ("choice", *RANGES)
_FORMS = "{choice: [..]}, {uniform: [low, high]}, {loguniform: [low, high]} or {int: [low, high]}"
_Conditions = tuple[tuple[str, Label], ...]


def parse_entries(raw: Any) -> tuple[tuple[tuple[str, Node], ...], list[str]]:
    """The tree of every dotted path, and the problems; with problems the trees are partial."""
    if not isinstance(raw, Mapping):
        return (), [f"space: {raw!r} is not a mapping of dotted paths to what they may be"]
    reader = _Reader()
    entries: list[tuple[str, Node]] = []
    for path, form in raw.items():
        if not isinstance(path, str) or not all(map(is_key, path.split("."))):
            reader.problems.append(
                f"space: {path!r} is not a path: must be keys joined by dots, as train.lr"
            )
            continue
        entries.append((path, reader.top(form, path)))
    reader.problems += overlaps(entries)
    return tuple(entries), reader.problems


class _Reader:
    """Reads trees and keeps the problems, so that all of them are reported together."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def top(self, form: Any, path: str) -> Node:
        """The dimension of a dotted path, or of several: nothing else may stand there."""
        if isinstance(form, Mapping) and TOGETHER in form:
            return self.together(form, path)
        if isinstance(form, Mapping) and not _is_dimension(form):
            self._unknown_kind(form, path)
            return Constant(None)
        if not isinstance(form, Mapping):
            hint = f"; did you mean {{choice: {short(form)}}}?" if isinstance(form, list) else ""
            self.problems.append(
                f"space.{path}: {short(form)} is not a dimension: must be {_FORMS}{hint}"
            )
            return Constant(None)
        return self.draw(form, path, path, ())

    def node(self, form: Any, name: str, path: str, conditions: _Conditions) -> Node:
        """A member of a choice, or a setting in one."""
        if isinstance(form, Mapping):
            if _is_dimension(form):
                return self.draw(form, name, path, conditions)
            children = [
                (key, self.node(inner, f"{name}.{key}", f"{path}.{key}", conditions))
                for key, inner in form.items()
                if self._check_key(key, name)
            ]
            if all(isinstance(child, Constant) for _, child in children):
                return Constant(dict(form))
            return Branch(tuple(children))
        self._check_constant(form, name)
        return Constant(form)

    def draw(self, form: Mapping[Any, Any], name: str, path: str, conditions: _Conditions) -> Draw:
        """A choice or a range."""
        kinds = [kind for kind in KINDS if kind in form]
        if len(kinds) > 1:
            self.problems.append(
                f"space.{name}: has both {kinds[0]!r} and {kinds[1]!r}: keep one of the two"
            )
        if kinds[0] == "choice":
            return self._choice(form, name, path, conditions)
        dimension, problems = parse_range(form, kinds[0], name, path)
        self.problems += [f"space.{name}: {problem}" for problem in problems]
        return Draw(Dimension(**dimension, conditions=conditions))

    def together(self, form: Mapping[Any, Any], name: str) -> Draw:
        """A choice whose members set the same dotted paths, each member under its name."""
        members = form[TOGETHER]
        self.problems += [
            f"space.{name}: unknown key {key!r} (allowed beside together: nothing)"
            for key in form
            if key != TOGETHER
        ]
        problem = wrong_members(members)
        if problem is not None:
            self.problems.append(f"space.{name}: {problem}")
            return Draw(Dimension(name, name, "choice", labels=(None,)), (Constant(None),))
        labels = labels_of(members)
        paths = tuple(path for path in members[0] if path != "name")
        nodes = tuple(
            Branch(
                tuple(
                    (
                        path,
                        self.node(member[path], f"{name}[{label}].{path}", path, ((name, label),)),
                    )
                    for path in paths
                )
            )
            for label, member in zip(labels, members, strict=True)
        )
        return Together(Dimension(name, name, "choice", labels=labels), nodes, paths)

    def _choice(
        self, form: Mapping[Any, Any], name: str, path: str, conditions: _Conditions
    ) -> Draw:
        members = form["choice"]
        self.problems += [
            f"space.{name}: unknown key {key!r} (allowed beside choice: nothing)"
            for key in form
            if key not in KINDS
        ]
        if not isinstance(members, list) or not members:
            self.problems.append(
                f"space.{name}: choice is {short(members)}: must be a list of one member or more"
            )
            return Draw(Dimension(name, path, "choice", labels=(None,)), (Constant(None),))
        for index, member in enumerate(members):
            first = next(
                i for i, other in enumerate(members) if other is member or _equal(other, member)
            )
            if first != index:
                self.problems.append(
                    f"space.{name}: members {first + 1} and {index + 1} of choice are the same "
                    f"({short(member)}): remove one"
                )
        labels = labels_of(members)
        nodes = tuple(
            self.node(member, f"{name}[{label}]", path, (*conditions, (name, label)))
            for label, member in zip(labels, members, strict=True)
        )
        dimension = Dimension(name, path, "choice", labels=labels, conditions=conditions)
        return Draw(dimension, nodes)

    def _unknown_kind(self, form: Mapping[Any, Any], path: str) -> None:
        kinds = (*KINDS, TOGETHER)
        allowed = ", ".join(kinds)
        if not form:
            self.problems.append(f"space.{path}: is empty: must be {_FORMS}")
        for key in form:
            close = get_close_matches(str(key), kinds, n=1, cutoff=0.5)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            self.problems.append(f"space.{path}: unknown key {key!r}{hint} (allowed: {allowed})")

    def _check_key(self, key: Any, name: str) -> bool:
        if isinstance(key, str) and is_key(key):
            return True
        self.problems.append(
            f"space.{name}: {key!r} is not a key: must be text without dots and brackets"
        )
        return False

    def _check_constant(self, value: Any, name: str) -> None:
        if isinstance(value, Mapping):
            if _is_dimension(value):
                self.problems.append(
                    f"space.{name}: {short(value)} stands inside a list, where nothing is "
                    "searched: make each whole list a member of a choice"
                )
            for key, inner in value.items():
                if self._check_key(key, name):
                    self._check_constant(inner, f"{name}.{key}")
        elif isinstance(value, list):
            for inner in value:
                self._check_constant(inner, name)
        elif isinstance(value, float) and not math.isfinite(value):
            self.problems.append(f"space.{name}: {value!r} is not allowed: must be finite")
        elif not (value is None or isinstance(value, bool | int | float | str)):
            self.problems.append(
                f"space.{name}: {value!r} is not allowed: must be null, true, false, a number, "
                "text, a list or a mapping"
            )


def _is_dimension(form: Mapping[Any, Any]) -> bool:
    return any(kind in form for kind in KINDS)


def _equal(first: Any, second: Any) -> bool:
    """Samplers cannot tell ``1`` from ``true``: the same member twice, as far as they know."""
    scalars = all(isinstance(value, bool | int | float) for value in (first, second))
    return bool(first == second) if scalars else same(first, second)
