"""``together``: a choice whose members set several paths of the trial at once."""

from collections.abc import Mapping, Sequence
from typing import Any

from kdsweep.spec.branch import Node, Together
from kdsweep.spec.labels import is_key, short

TOGETHER = "together"


def paths_of(name: str, node: Node) -> tuple[str, ...]:
    """The dotted paths of the trial that an entry of a space sets."""
    return node.paths if isinstance(node, Together) else (name,)


def overlaps(entries: Sequence[tuple[str, Node]]) -> list[str]:
    """A sentence for every path that is set twice, by itself or by what it lies inside."""
    owned = [(path, name) for name, node in entries for path in paths_of(name, node)]
    problems = []
    for index, (outer, by) in enumerate(owned):
        for other, (inner, name) in enumerate(owned):
            place = inner if inner == name else f"{name}: {inner}"
            source = outer if outer == by else f"{by}: {outer}"
            if inner.startswith(outer + "."):
                problems.append(
                    f"space.{place}: lies inside space.{source}, which sets it as well: "
                    "keep one of the two"
                )
            elif inner == outer and index < other:
                problems.append(f"space.{place}: space.{source} sets it as well: keep one")
    return problems


def wrong_members(members: Any) -> str | None:
    """What is wrong with the list of ``together``, in words; ``None`` if nothing is."""
    if not isinstance(members, list) or not members:
        return f"together is {short(members)}: must be a list of one member or more"
    for position, member in enumerate(members, start=1):
        name = member.get("name") if isinstance(member, Mapping) else None
        if not isinstance(name, str) or not is_key(name):
            return (
                f"member {position} of together is {short(member)}: must be a mapping with a name "
                "(without dots and brackets), and values for dotted paths of the trial"
            )
    first, *others = members
    wrong = [path for path in first if not all(map(is_key, str(path).split(".")))]
    if wrong or len(first) == 1:
        found = f"{wrong[0]!r} is not a path" if wrong else "it sets nothing"
        return f"member {first['name']!r} of together: {found}: give it values for dotted paths"
    for other in others:
        odd = sorted(map(str, set(other) ^ set(first)))
        if odd:
            return (
                f"members {first['name']!r} and {other['name']!r} of together differ in what they "
                f"set ({', '.join(odd)}): every member must set the same paths"
            )
        if other["name"] in [each["name"] for each in members if each is not other]:
            return f"two members of together are called {other['name']!r}: rename one"
    return None
