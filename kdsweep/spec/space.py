"""The search space: dotted paths of the trial, and what each of them may become."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kdsweep.errors import SpecError
from kdsweep.spec import branch
from kdsweep.spec.branch import Fill, Node, Suggest, Taken, Together, Values
from kdsweep.spec.dimension import Dimension, Label
from kdsweep.spec.space_parse import parse_entries
from kdsweep.spec.together import paths_of


@dataclass(frozen=True)
class Assignment:
    """One point of a space.

    ``params`` has what was drawn, by the name of each dimension that was reached: the sampler's
    view. ``changes`` has the plain values, by dotted path of the trial: what ``at`` puts in.
    """

    params: dict[str, Label]
    changes: dict[str, Any]

    @property
    def label(self) -> str:
        """The point in words, as ``student.width=8, strategy=kd``."""
        return ", ".join(f"{name}={drawn}" for name, drawn in self.params.items())


@dataclass(frozen=True)
class Space:
    """What a sweep varies: a tree for each dotted path, none of them inside another.

    A tree that sets several paths together has a name of its own in place of a path.
    """

    entries: tuple[tuple[str, Node], ...] = ()

    @classmethod
    def parse(cls, raw: Mapping[Any, Any]) -> "Space":
        """Read the ``space:`` of a sweep file.

        Raises:
            SpecError: every problem of the space, each with its path and what is allowed.
        """
        entries, problems = parse_entries(raw)
        if problems:
            raise SpecError(problems)
        return cls(entries)

    def dimensions(self) -> list[Dimension]:
        """Every dimension, conditional ones included, in the order of the file."""
        return [found for _, node in self.entries for found in branch.dimensions(node)]

    def under(self, *paths: str) -> "Space":
        """The part of the space that sets one of ``paths`` or something below it.

        What sets other paths together with it is kept whole.
        """
        kept = (
            (name, node)
            for name, node in self.entries
            if any(
                each == path or each.startswith(path + ".")
                for each in paths_of(name, node)
                for path in paths
            )
        )
        return Space(tuple(kept))

    def resolve(self, suggest: Suggest) -> Assignment:
        """Ask ``suggest`` for every dimension that is reached: a label, or a number in range.

        Raises:
            SpecError: an answer is outside its dimension.
        """

        def checked(dimension: Dimension) -> Label:
            drawn = suggest(dimension)
            if not dimension.contains(drawn):
                raise SpecError(
                    f"space.{dimension.name}: {drawn!r} is not allowed: "
                    f"must be {dimension.allowed()}"
                )
            return drawn

        return self._assignment({name: branch.walk(node, checked) for name, node in self.entries})

    def at(self, params: Mapping[str, Label]) -> Assignment:
        """The point with these draws, as ``resolve``."""
        return self.resolve(lambda dimension: params[dimension.name])

    def locate(
        self, trial: Mapping[str, Any], *, defaults: Fill | None = None
    ) -> dict[str, Label] | None:
        """What must be drawn to get the settings of ``trial``; ``None`` where it is outside.

        A setting that is missing on either side counts as different, unless ``defaults`` writes
        out the defaults of a value at a dotted path (the empty path is the whole trial).
        """
        params: dict[str, Label] = {}
        for name, node in self.entries:
            if isinstance(node, Together):
                below = _match_together(node, trial, defaults)
            else:
                below = _match_at(name, node, trial, defaults)
            if below is None:
                return None
            params |= below
        return params

    def corners(self) -> Iterator[Assignment]:
        """Every member of every choice and both ends of every range at least once.

        Each varies one path alone, the others keep what the trial says; the last two set all
        paths together, to their first and to their last values.
        """
        for name, node in self.entries:
            for taken in branch.ends(node):
                yield self._assignment({name: taken})
        if len(self.entries) > 1:
            yield self.resolve(lambda dimension: dimension.ends()[0])
            yield self.resolve(lambda dimension: dimension.ends()[-1])

    def grid(self, points: int) -> Iterator[Assignment]:
        """Every combination, lazily: all members, and ranges at ``points`` values (2 or more)."""
        return self._product(lambda dimension: dimension.values(points))

    def grid_size(self, points: int) -> int:
        """How many combinations ``grid`` gives."""
        return branch.grid_size(self._whole, lambda dimension: len(dimension.values(points)))

    @property
    def num_points(self) -> int | None:
        """How many points there are in all; ``None`` if a range of real numbers is in it."""
        if any(dimension.num_values is None for dimension in self.dimensions()):
            return None
        return branch.grid_size(self._whole, lambda dimension: dimension.num_values or 0)

    def points(self) -> Iterator[Assignment]:
        """Every point of a space that has an end of them, lazily."""
        return self._product(Dimension.every_value)

    def _product(self, values: Values) -> Iterator[Assignment]:
        return map(self._assignment, branch.product(self.entries, values))

    @property
    def _whole(self) -> Node:
        return branch.Branch(self.entries)

    def _assignment(self, taken: Mapping[str, Taken]) -> Assignment:
        params = {name: drawn for one in taken.values() for name, drawn in one.params.items()}
        changes: dict[str, Any] = {}
        for name, node in self.entries:
            if name in taken:
                value = taken[name].value
                changes |= value if isinstance(node, Together) else {name: value}
        return Assignment(params, changes)


def _match_at(
    path: str, node: Node, trial: Mapping[str, Any], defaults: Fill | None
) -> dict[str, Label] | None:
    found, value = _value_at(trial, path, defaults)
    return branch.match(node, value, path, defaults) if found else None


def _match_together(
    node: Together, trial: Mapping[str, Any], defaults: Fill | None
) -> dict[str, Label] | None:
    for label, member in zip(node.dimension.labels, node.members, strict=True):
        assert isinstance(member, branch.Branch)
        below = [_match_at(path, child, trial, defaults) for path, child in member.children]
        if None not in below:
            params: dict[str, Label] = {node.dimension.name: label}
            for each in below:
                params |= each or {}
            return params
    return None


def _value_at(trial: Mapping[str, Any], path: str, fill: Fill | None) -> tuple[bool, Any]:
    value: Any = trial
    parts = path.split(".")
    for depth, part in enumerate(parts):
        if fill is not None:
            value = fill(".".join(parts[:depth]), value)
        if not isinstance(value, Mapping) or part not in value:
            return False, None
        value = value[part]
    return True, value
