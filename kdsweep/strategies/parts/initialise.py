"""A student that starts from blocks of its teacher."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from kdsweep.batch import Anatomy
from kdsweep.errors import SpecError
from kdsweep.strategies.parts.blocks import BlockPair

_OWN = frozenset({"classifier"})
"""What the student keeps of its own: it learns its task."""
_LEADING = frozenset({"positions", "tokens"})
"""Tables of which a shorter one is the beginning of a longer one: a directory's vocabulary may have
spare rows at its end."""

Copies = list[tuple[Tensor, Tensor]]


def copy_blocks(
    pairs: Iterable[BlockPair],
    networks: tuple[nn.Module, nn.Module],
    anatomies: tuple[Anatomy, Anatomy],
) -> None:
    """Copy the teacher's blocks, and what is around them, into the student, part by part.

    ``networks`` and ``anatomies`` are the student's and the teacher's. Around the blocks those
    parts are copied that both have, but for the classifier; of learned positions and of the
    vocabulary as many rows as the student has.

    Raises:
        SpecError: two blocks are of other sizes, heads or parts; the student is as it was.
    """
    copies: Copies = []
    for pair in pairs:
        if pair.student.heads != pair.teacher.heads:
            raise SpecError(
                f"initialise: student {pair.student.hidden!r} has {pair.student.heads} heads and "
                f"teacher {pair.teacher.hidden!r} {pair.teacher.heads}: the same weights would "
                "attend otherwise; use as many heads, or initialise: none"
            )
        if not pair.student.parts or set(pair.student.parts) != set(pair.teacher.parts):
            raise SpecError(
                f"initialise: student {pair.student.hidden!r} has the parts "
                f"{_listed(pair.student.parts)} and teacher {pair.teacher.hidden!r} "
                f"{_listed(pair.teacher.parts)}: blocks of one kind are copied; use initialise: "
                "none"
            )
        copies += _copies(pair.student.parts, pair.teacher.parts, networks)
    ours, theirs = (anatomy.parts for anatomy in anatomies)
    shared = {role: path for role, path in ours.items() if role in theirs and role not in _OWN}
    copies += _copies(shared, theirs, networks)
    with torch.no_grad():
        for student, teacher in copies:
            student.copy_(teacher)


def _copies(
    ours: Mapping[str, str], theirs: Mapping[str, str], networks: tuple[nn.Module, nn.Module]
) -> Copies:
    """The student's tensors with the teacher's that go into them, role by role."""
    found: Copies = []
    for role, path in ours.items():
        own, other = _tensors(networks[0], path), _tensors(networks[1], theirs[role])
        for name, tensor in own.items():
            source = other.get(name)
            if source is not None and role in _LEADING and len(source) >= len(tensor):
                source = source[: len(tensor)]
            if source is None or source.shape != tensor.shape:
                raise SpecError(_mismatch(path, tensor, theirs[role], other.get(name), name))
            found.append((tensor, source))
    return found


def _tensors(network: nn.Module, path: str) -> dict[str, Tensor]:
    try:
        module = network.get_submodule(path)
    except AttributeError as error:
        raise SpecError(
            f"initialise: the anatomy of {type(network).__name__} names {path!r}, and there is no "
            "such module: name one of named_modules()"
        ) from error
    return dict(module.named_parameters()) | dict(module.named_buffers())


def _mismatch(ours: str, own: Tensor, theirs: str, other: Tensor | None, name: str) -> str:
    found = "nothing of that name" if other is None else str(list(other.shape))
    return (
        f"initialise: {name} of student {ours!r} is {list(own.shape)} and of teacher {theirs!r} "
        f"{found}: what is copied must be of one size; give the student the teacher's sizes, or "
        "use initialise: none"
    )


def _listed(parts: Iterable[str]) -> str:
    return ", ".join(sorted(parts)) or "none"
