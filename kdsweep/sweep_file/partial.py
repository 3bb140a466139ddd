"""A trial without the settings that were refused, so that the rest of it is checked as well."""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from kdsweep.spec import Space, TrialSpec
from kdsweep.spec.problems import as_written, dotted
from kdsweep.spec.together import paths_of

_MOST_ROUNDS = 5
"""What is taken out may leave something incomplete, which goes as well: at most so deep."""


@dataclass
class Partial:
    """What is left of a trial; ``trial`` is ``None`` where that is too little to be one.

    ``given`` is what is left as it was written, ``taken`` the dotted paths of what was refused.
    """

    given: Any
    trial: TrialSpec | None = None
    taken: set[str] = field(default_factory=set)

    def without_echoes(self, problems: Iterable[str]) -> list[str]:
        """Without complaints that something is missing which was only taken out."""
        return [problem for problem in problems if not self._echoes(problem)]

    def space_left(self, space: Space) -> Space:
        """The space without what leads into something that was taken out."""
        kept = (
            (name, node)
            for name, node in space.entries
            if not any(
                path.startswith(f"{taken}.") for path in paths_of(name, node)
                for taken in self.taken
            )
        )  # fmt: skip
        return Space(tuple(kept))

    def _echoes(self, problem: str) -> bool:
        if "teacher: is missing, and strategy" in problem:
            return not self.taken.isdisjoint({"teacher", "strategy"})
        names = (path.removeprefix("teachers.") for path in self.taken)
        return any(f"no teacher named {name!r}" in problem for name in names)


def partial(raw: Any) -> Partial:
    """What is left of the ``trial:`` of a file without all that its settings refuse."""
    left = Partial(deepcopy(raw))
    for _ in range(_MOST_ROUNDS):
        try:
            left.trial = TrialSpec.model_validate(left.given)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_context=False)
            removed = [_take(left, problem["type"], problem["loc"]) for problem in problems]
            if not any(removed):
                break
        else:
            break
    return left


def _take(left: Partial, kind: str, loc: tuple[int | str, ...]) -> bool:
    """Take out what a problem is about; whether there was anything to take."""
    path = as_written(TrialSpec, loc)
    if kind == "extra_forbidden" and len(path) == 1:
        # Who misspells a setting has not left it out.
        left.taken |= set(get_close_matches(str(path[0]), TrialSpec.model_fields, 1, 0.5))
    # A mapping that lacks something goes as a whole.
    removed = _remove(left.given, path[:-1] if kind == "missing" else path)
    if not path and "teacher" in left.taken and left.given.get("teachers"):
        # Further teachers are refused where there is no first.
        removed = _remove(left.given, ["teachers"])
    if removed is not None:
        left.taken.add(removed)
    return removed is not None


def _remove(data: Any, path: Sequence[object]) -> str | None:
    """Delete what ``path`` leads to, or the list that it leads into; the path of what went."""
    for depth, key in enumerate(path):
        if not isinstance(data, dict) or key not in data:
            return None
        if depth == len(path) - 1 or not isinstance(data[key], dict):
            del data[key]
            return dotted(path[: depth + 1])
        data = data[key]
    return None
