"""What ``Sweep.select`` chose, and why; or that nothing fits, and what to relax."""

from collections.abc import Callable, Sequence

import pandas as pd

from kdsweep.errors import ResultError, printable
from kdsweep.notebook.html import details_html, lines_html, students_html, title_html
from kdsweep.report.choice import against, noise_sentence, why
from kdsweep.report.choosing import Found
from kdsweep.results.record import TrialResult

Tabled = Callable[[Sequence[TrialResult]], pd.DataFrame]


class NoStudentFits(ResultError):
    """No student meets the limits: each sentence says which to relax, and by how much."""


class StudentChoice:
    """The student that ``select`` chose; whatever takes a trial takes a choice too.

    ``trial`` is its record: of replicates that of the one of median accuracy, with the means of
    them all. ``place`` is the run that it is of.
    """

    def __init__(self, found: Found, *, place: str, tabled: Tabled) -> None:
        """Of a choice that was made.

        Raises:
            NoStudentFits: nothing was chosen.
        """
        choice = found.choice
        if choice.chosen is None:
            sentences = [f"no student fits: {sentence}" for sentence in choice.advice]
            raise NoStudentFits(sentences, source=place)
        self.trial, self.place = choice.chosen, place
        self._choice, self._facts, self._tabled = choice, found.facts, tabled
        shown = (choice.chosen, *choice.runners_up)
        self._note = "; ".join(found.measured.words(shown)) if found.measured else ""

    @property
    def trial_id(self) -> str:
        """The id of the trial."""
        return self.trial.trial_id

    @property
    def why(self) -> str:
        """What it was chosen for, how it is beside the teacher, and what chance leaves open."""
        said = [
            why(self._choice, self._facts),
            noise_sentence(self._choice, self._facts),
            self._note,
        ]
        return "; ".join(sentence for sentence in said if sentence)

    @property
    def runners_up(self) -> pd.DataFrame:
        """The next best that fit, in the columns of ``trials``, and how each is ``against`` it."""
        table = self._tabled(self._choice.runners_up)
        table["against"] = [
            against(other, self._choice, self._facts) for other in self._choice.runners_up
        ]
        return table

    @property
    def rejected(self) -> pd.DataFrame:
        """Those that do not fit, in the columns of ``trials``, and every limit that each misses."""
        table = self._tabled([result for result, _ in self._choice.rejected])
        table["misses"] = ["; ".join(reasons) for _, reasons in self._choice.rejected]
        return table

    def __repr__(self) -> str:
        return printable(f"trial {self.trial.number} ({self.trial.name}): {self.why}")

    def _repr_html_(self) -> str:
        others = self._choice.runners_up
        lines = [
            f"trial {other.number}: {against(other, self._choice, self._facts)}" for other in others
        ]
        return (
            title_html(f"trial {self.trial.number} ({self.trial.name})", self.why)
            + students_html([self.trial, *others], self._facts.objectives)
            + lines_html(lines)
            + details_html({"run": self.place})
        )
