"""What follows from a confirmation, in sentences: each with its number and its spread."""

import math
from collections.abc import Sequence

from kdsweep.report.labels import listed
from kdsweep.results.confirmation import OWN, Confirmation
from kdsweep.results.confirms import Opening
from kdsweep.results.intervals import CONFIDENCE, Summary

_AGAINST_ITSELF = {
    "helped": "Distillation helped {}: so much more accurate on test data than the same student "
    "trained without a teacher.",
    "hurt": "Distillation hurt {}: so much less accurate on test data than the same student "
    "trained without a teacher.",
    "cannot tell": "It cannot be told whether distillation helped {}: the difference on test data "
    "to the same student trained without a teacher is within chance.",
}


def sentences(found: Confirmation) -> list[str]:
    """What follows from the numbers, in words, each with its spread."""
    said = []
    confirms = found.confirms
    if found.num_ended < confirms.num_trials:
        said.append(
            f"{found.num_ended} of {confirms.num_trials} trainings have ended: these are the "
            "numbers so far."
        )
    failed = sum(each.num_failed for each in found.points)
    if failed:
        said.append(f"{failed} training{'s' * (failed != 1)} failed: see kdsweep logs.")
    said += _on_optimism(found)
    said += on_distillation(found)
    said += opened_before_words(found.confirms.opened_before)
    return said


def confirmed_words(found: Sequence[Confirmation], trial_ids: Sequence[str]) -> list[str]:
    """What confirmations say of one of the sweep's students, a sentence each, as they are given.

    ``digits-confirm: 98.79% ±0.43 on test data over 3 seeds, on the front with P 0.74``.
    """
    said = []
    for each in found:
        of_student = [s for s in each.students if set(s.point.trial_ids) & set(trial_ids)]
        for student in of_student:
            test, minus = student.test, student.minus.get(OWN)
            if test is None:
                said.append(f"{each.meta.name}: no training of it has ended yet")
                continue
            words = f"{100 * test.mean:.2f}% {with_sign(test.deviation)}".rstrip()
            num = len(test.values)
            words += f" on test data over {num} seed{'s' * (num != 1)}"
            if student.on_front is not None:
                words += f", P(front) {student.on_front:.2f}"
            if minus is not None and not math.isnan(minus.half):
                words += f"; minus the same student without a teacher {_points(minus)}"
            said.append(f"{each.meta.name}: {words}")
    return said


def with_sign(deviation: float) -> str:
    """A deviation of accuracies in percentage points, ``±1.41``; empty where there is none."""
    return "" if math.isnan(deviation) else f"±{100 * deviation:.2f}"


def _on_optimism(found: Confirmation) -> list[str]:
    said = []
    if found.optimism is not None:
        said.append(
            f"The sweep's accuracies were {_above(found.optimism)} those of fresh seeds on the "
            f"same validation data{_how_surely_optimistic(found.optimism)}."
        )
    if found.optimism_on_test is not None:
        learned = ", the students having learned from the validation data as well"
        also = learned if found.confirms.with_validation else ""
        said.append(
            f"The sweep's accuracies were {_above(found.optimism_on_test)} those on test data{also}"
            "."
        )
        if found.of_controls_on_test is not None:
            said.append(
                "So far apart are the two sets of data: with fresh seeds the controls, which "
                "nobody chose, had accuracies on validation data that were "
                f"{_above(found.of_controls_on_test, 'control')} those on test data."
            )
    return said


def _above(summary: Summary, what: str = "student") -> str:
    """``1.20 ±0.40 points (mean and deviation of 5 students) above``, or below."""
    num, mean = len(summary.values), 100 * summary.mean
    of = f"mean and deviation of {num} {what}s" if num > 1 else f"of one {what}"
    number = f"{abs(mean):.2f} {with_sign(summary.deviation)}".rstrip()
    return f"{number} points ({of}) {'below' if mean < 0 else 'above'}"


def _how_surely_optimistic(optimism: Summary) -> str:
    if math.isnan(optimism.half):
        return ": of one student nobody can say whether that is chance"
    low, high = optimism.interval
    ends = f" [{100 * low:+.2f} {100 * high:+.2f}]"
    if low > 0:
        return f"{ends}: so much too high did choosing the best make them"
    return f"{ends}: that cannot be told from chance" if high >= 0 else ends


def on_distillation(found: Confirmation) -> list[str]:
    """Whether distillation helped: each student against itself without a teacher."""
    against = {
        " ".join(each.point.trial_ids): each.minus[OWN]
        for each in found.students if OWN in each.minus
    }  # fmt: skip
    known = {name: minus for name, minus in against.items() if not math.isnan(minus.half)}
    if not known:
        return []
    groups: dict[str, list[str]] = {words: [] for words in _AGAINST_ITSELF}
    for name, minus in known.items():
        low, high = minus.interval
        which = "helped" if low > 0 else "hurt" if high < 0 else "cannot tell"
        groups[which].append(f"{name} ({_points(minus)})")
    said = [
        _AGAINST_ITSELF[which].format(listed(names)) for which, names in groups.items() if names
    ]
    num = sum(len(each.minus) for each in found.points)
    by_chance = f"{(1 - CONFIDENCE) * num:.1f}"
    return [
        *said,
        f"Of all {num} intervals of differences {by_chance} would leave zero out by chance alone, "
        "if no strategy made any difference.",
    ]


def _points(minus: Summary) -> str:
    """``+2.00 percentage points, 95% interval -10.71 to +14.71``."""
    low, high = minus.interval
    return (
        f"{100 * minus.mean:+.2f} percentage points, 95% interval {100 * low:+.2f} to "
        f"{100 * high:+.2f}"
    )


def opened_before_words(before: Sequence[Opening]) -> list[str]:
    """The warning that the test data are no longer untouched, if they are not."""
    if not before:
        return []
    runs = ", ".join(
        f"{each.run} ({each.when}{'' if each.same_sweep else ', another sweep on the same data'})"
        for each in before
    )
    return [
        f"The test data have been opened before, by {runs}: what was chosen since then may have "
        "been chosen by them, and these numbers are no longer those of untouched data."
    ]
