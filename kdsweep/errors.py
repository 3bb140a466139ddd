"""What can go wrong, by whose hand: the sweep file, a trial, or the results on disk."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class KdsweepError(Exception):
    """One or more problems that a person can mend, each a full sentence of its own.

    The command line prints every problem and exits with 2, without a traceback.
    """

    def __init__(self, problems: str | Iterable[str], *, source: object = None) -> None:
        self.problems: tuple[str, ...] = (
            (problems,) if isinstance(problems, str) else tuple(problems)
        )
        self.source = None if source is None else str(source)
        super().__init__(self.problems, self.source)

    def __str__(self) -> str:
        where = f"{self.source}: " if self.source else ""
        return "\n".join(where + problem for problem in self.problems)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.problems, self.source))


def _rebuild(kind: type[KdsweepError], problems: Sequence[str], source: str | None) -> KdsweepError:
    return kind(problems, source=source)


class SpecError(KdsweepError):
    """A sweep file, or something that it names, is not what it should be."""


class TrialError(KdsweepError):
    """One trial cannot go on; the others can."""


class ResultError(KdsweepError):
    """A run directory or a record in it is missing, foreign or damaged."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> str:
    """The sentence for a name that does not exist, with the nearest one that does."""
    names = sorted(known)
    close = get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"no {kind} named {name!r}{hint} (have: {', '.join(names)})"
