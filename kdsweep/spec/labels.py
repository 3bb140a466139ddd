"""What the members of a choice are called, and how values are shown in messages."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kdsweep.errors import redacted
from kdsweep.spec.dimension import Label, same


def labels_of(members: Sequence[Any]) -> tuple[Label, ...]:
    """A unique label for each member of a choice.

    A scalar is its own label; a list its JSON text; a mapping its ``name`` where no other member
    has it, else ``name#2`` by its position, else ``option 2``.
    """
    wanted = [_label(member, index) for index, member in enumerate(members, start=1)]
    taken: list[Label] = [m for m in members if not isinstance(m, list | Mapping)]
    labels: list[Label] = []
    for index, (member, label) in enumerate(zip(members, wanted, strict=True), start=1):
        if isinstance(member, list | Mapping):
            if any(same(label, t) for t in taken) or wanted.count(label) > 1:
                label = f"{label}#{index}"
            while any(same(label, t) for t in taken):
                label = f"{label}'"
            taken.append(label)
        labels.append(label)
    return tuple(labels)


def _label(member: Any, index: int) -> Label:
    if isinstance(member, list):
        return json.dumps(member, default=str)
    if not isinstance(member, Mapping):
        return member  # type: ignore[no-any-return]
    name = member.get("name")
    return name if isinstance(name, str) and is_key(name) else f"option {index}"


def is_key(key: str) -> bool:
    """Whether a key can be part of a dotted path and of a dimension's name."""
    return bool(key) and not set(key) & set(".[]")


def short(value: Any) -> str:
    """A value as it is written in Python, cut off if it is long."""
    # Before it is cut off: half a password would not be known for one.
    text = redacted(repr(value))
    return text if len(text) <= 60 else text[:57] + "..."
