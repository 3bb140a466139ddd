"""What a difference of two students may be of besides how they were taught."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kdsweep.report.labels import flatten, listed, value_words
from kdsweep.results.noise import wilson
from kdsweep.results.record import TrialResult

_TAUGHT_BY = ("strategy", "teacher", "teachers", "seed")
"""A student without a teacher has none to differ in."""
_MOST_SAID = 3


@dataclass(frozen=True)
class ChanceLevel:
    """What guessing comes to, of so many classes; ``examples`` is how many are guessed."""

    num_classes: int | None
    examples: int | None

    def has(self, accuracy: float) -> bool:
        """Whether an accuracy cannot be told from guessing: its student did not learn.

        That is so where Wilson's interval, or the number itself where ``examples`` are unknown,
        begins at one in ``num_classes`` or below; never where that number is unknown.
        """
        if self.num_classes is None or self.num_classes < 2 or math.isnan(accuracy):
            return False
        share = min(max(accuracy, 0.0), 1.0)
        low = share if self.examples is None else wilson(share, self.examples)[0]
        return low <= 1 / self.num_classes


@dataclass(frozen=True)
class Apart:
    """A setting, by its dotted path, in which two trials differ; none where one has no such."""

    setting: str
    one: Any
    other: Any

    @property
    def words(self) -> str:
        """``train.lr (0.258 against 0.0166)``."""
        one, other = ("none" if v is None else value_words(v) for v in (self.one, self.other))
        return f"{self.setting} ({one} against {other})"


def apart(one: TrialResult, other: TrialResult) -> tuple[Apart, ...]:
    """In what two trials differ besides how they were taught and their seed."""
    found, others = _settings(one), _settings(other)
    return tuple(
        Apart(path, found.get(path), others.get(path))
        for path in dict.fromkeys([*found, *others])
        if found.get(path) != others.get(path)
    )


def apart_words(settings: Sequence[Apart]) -> str:
    """``train.lr (0.258 against 0.0166) and student.width (4 against 2)``; of many the first."""
    said = [each.words for each in settings[:_MOST_SAID]]
    left = len(settings) - len(said)
    said += [f"{left} more"] if left else []
    return listed(said)


def at_chance_words(num: int, of: int) -> str:
    """A sentence, with a blank before it, on those of a few trainings; empty where all learned."""
    if not num:
        return ""
    what = "is at chance level: it" if num == 1 else "are at chance level: they"
    return f" {num} of these {of} trainings {what} did not learn."


def _settings(result: TrialResult) -> dict[str, Any]:
    return flatten({key: v for key, v in result.trial.items() if key not in _TAUGHT_BY})
