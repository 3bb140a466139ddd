"""The search space as a tree: constants, mappings, and draws whose members are trees again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kdsweep.spec.dimension import Dimension, Label, same

Suggest = Callable[[Dimension], Label]
Values = Callable[[Dimension], Sequence[Label]]
"""What of a dimension stands in a grid."""
Fill = Callable[[str, Any], Any]
"""A value at a dotted path of the trial -> the same value with every default written out."""


@dataclass(frozen=True)
class Constant:
    """A value that is set as it is."""

    value: Any


@dataclass(frozen=True)
class Branch:
    """A mapping, whose values may be drawn."""

    children: tuple[tuple[str, "Node"], ...]


@dataclass(frozen=True)
class Draw:
    """A dimension; a choice has one member for each of its labels."""

    dimension: Dimension
    members: tuple["Node", ...] = ()

    def member(self, label: Label) -> "Node":
        """The tree that ``label`` stands for; a label unlike all of them is a ``KeyError``."""
        for known, member in zip(self.dimension.labels, self.members, strict=True):
            if same(known, label):
                return member
        raise KeyError(label)


@dataclass(frozen=True)
class Together(Draw):
    """A choice at the top of a space whose members set several dotted ``paths`` of the trial.

    Each member is a branch with a child for every path.
    """

    paths: tuple[str, ...] = ()


Node = Constant | Branch | Draw


@dataclass(frozen=True)
class Taken:
    """One way through a tree: what was drawn, by name, and the plain value it leads to."""

    params: dict[str, Label]
    value: Any


def dimensions(node: Node) -> Iterator[Dimension]:
    """Every dimension of a tree, the outer ones first."""
    if isinstance(node, Branch):
        for _, child in node.children:
            yield from dimensions(child)
    elif isinstance(node, Draw):
        yield node.dimension
        for member in node.members:
            yield from dimensions(member)


def walk(node: Node, suggest: Suggest) -> Taken:
    """Ask ``suggest`` for every dimension that is reached, and for no other."""
    if isinstance(node, Constant):
        return Taken({}, _copy(node.value))
    if isinstance(node, Branch):
        return _joined({key: walk(child, suggest) for key, child in node.children})
    drawn = suggest(node.dimension)
    own = {node.dimension.name: drawn}
    if not node.members:
        return Taken(own, drawn)
    below = walk(node.member(drawn), suggest)
    return Taken(own | below.params, below.value)


def ends(node: Node) -> Iterator[Taken]:
    """Every member and both ends of every range at least once, one varied at a time.

    What is not varied stays at its first member or its low end.
    """
    if isinstance(node, Draw) and not node.members:
        yield from (Taken({node.dimension.name: end}, end) for end in node.dimension.ends())
    elif isinstance(node, Draw):
        for label, member in zip(node.dimension.labels, node.members, strict=True):
            for below in ends(member):
                yield Taken({node.dimension.name: label} | below.params, below.value)
    else:
        base = walk(node, lambda dimension: dimension.ends()[0])
        yield base
        if isinstance(node, Branch):
            for key, child in node.children:
                for below in ends(child) if any(dimensions(child)) else ():
                    rest = {k: walk(c, lambda d: d.ends()[0]) for k, c in node.children}
                    yield _joined(rest | {key: below})


def grid(node: Node, values: Values) -> Iterator[Taken]:
    """The product of the dimensions that are reached together, each with its ``values``."""
    if isinstance(node, Constant):
        yield Taken({}, _copy(node.value))
    elif isinstance(node, Branch):
        yield from map(_joined, product(node.children, values))
    else:
        for drawn in values(node.dimension):
            below = grid(node.member(drawn), values) if node.members else (Taken({}, drawn),)
            for taken in below:
                yield Taken({node.dimension.name: drawn} | taken.params, taken.value)


def product(children: tuple[tuple[str, Node], ...], values: Values) -> Iterator[dict[str, Taken]]:
    """The grids of several trees against each other, the last one varying fastest."""
    if not children:
        yield {}
        return
    (key, first), *others = children
    for taken in grid(first, values):
        for rest in product(tuple(others), values):
            yield {key: taken} | rest


def grid_size(node: Node, count: Callable[[Dimension], int]) -> int:
    """How many ways ``grid`` gives, by how many values each dimension has, without walking them."""
    if isinstance(node, Constant):
        return 1
    if isinstance(node, Branch):
        size = 1
        for _, child in node.children:
            size *= grid_size(child, count)
        return size
    if node.members:
        return sum(grid_size(member, count) for member in node.members)
    return count(node.dimension)


def match(node: Node, value: Any, path: str, fill: Fill | None) -> dict[str, Label] | None:
    """What must be drawn for ``node`` to give ``value``; ``None`` where nothing does.

    Without ``fill`` a mapping must have the very keys of its member. With it, a key that only one
    of the two has is compared with its default.
    """
    if isinstance(node, Constant):
        filled = (fill(path, node.value), fill(path, value)) if fill else (node.value, value)
        return {} if same(*filled) else None
    if isinstance(node, Branch):
        return _match_branch(node, value, path, fill)
    dimension = node.dimension
    if not node.members:
        if not dimension.contains(value):
            return None
        return {dimension.name: value if dimension.kind == "int" else float(value)}
    for label, member in zip(dimension.labels, node.members, strict=True):
        below = match(member, value, path, fill)
        if below is not None:
            return {dimension.name: label} | below
    return None


def _match_branch(
    node: Branch, value: Any, path: str, fill: Fill | None
) -> dict[str, Label] | None:
    found = fill(path, value) if fill else value
    keys = [key for key, _ in node.children]
    if not isinstance(found, Mapping) or not set(keys) <= found.keys():
        return None
    own = {key: found[key] for key in keys}
    others = {key: given for key, given in found.items() if key not in own}
    expected = fill(path, own) if fill else own
    if not same({key: expected[key] for key in expected if key not in own}, others):
        return None
    params: dict[str, Label] = {}
    for key, child in node.children:
        below = match(child, found[key], f"{path}.{key}", fill)
        if below is None:
            return None
        params |= below
    return params


def _joined(parts: Mapping[str, Taken]) -> Taken:
    params = {name: drawn for part in parts.values() for name, drawn in part.params.items()}
    return Taken(params, {key: part.value for key, part in parts.items()})


def _copy(value: Any) -> Any:
    """A value of its own for every trial: the tree is shared by all of them."""
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value
