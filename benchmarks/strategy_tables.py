"""Strategies held against none, seed by seed: tables, and sentences that follow from them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from scipy.stats import t as students_t
from strategy_trials import NONE

CONFIDENCE = 0.95
ABOVE, CONTAINS, BELOW, UNKNOWN = "above 0", "contains 0", "below 0", "unknown"
LABELS = {"all": "all labels", "scarce": "5 % of the labels"}

Accuracies = Mapping[int, float]
"""Of each seed whose trial came to its end, in percent."""


@dataclass(frozen=True)
class Compared:
    """A row of a table: a strategy's accuracies, and what they are more than the control's.

    Differences are of the same seed: first weights, order of the images and the labels that are
    known are the same on both sides. ``half`` is half the width of the interval of their mean.
    """

    row: str
    remark: str
    seeds: int
    accuracies: tuple[float, ...]
    differences: tuple[float, ...]

    @property
    def half(self) -> float | None:
        """By Student's t with n - 1 degrees of freedom; none of fewer than two differences."""
        num = len(self.differences)
        if num < 2:
            return None
        quantile = float(students_t.ppf((1 + CONFIDENCE) / 2, num - 1))
        return quantile * stdev(self.differences) / math.sqrt(num)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the mean difference lies, at 95 % confidence."""
        if self.half is None:
            return None
        middle = mean(self.differences)
        return middle - self.half, middle + self.half

    @property
    def verdict(self) -> str:
        """Where the interval lies."""
        if self.interval is None:
            return UNKNOWN
        low, high = self.interval
        return ABOVE if low > 0 else BELOW if high < 0 else CONTAINS

    @property
    def cells(self) -> tuple[str, str, str]:
        """Accuracy and difference, each with its standard deviation, and the interval."""
        if not self.accuracies:
            return f"failed {self.seeds} of {self.seeds}", "", ""
        accuracy = _with_deviation(self.accuracies, "")
        if len(self.accuracies) < self.seeds:
            accuracy += f" ({len(self.accuracies)} of {self.seeds})"
        if self.row == NONE or not self.differences:
            return accuracy, "", ""
        interval = self.interval
        written = "" if interval is None else f"{interval[0]:+.1f} to {interval[1]:+.1f}"
        return accuracy, _with_deviation(self.differences, "+"), written


def compare(
    rows: Mapping[str, Accuracies], remarks: Mapping[str, str], *, seeds: int
) -> list[Compared]:
    """Every row against the one called ``none``."""
    control = rows[NONE]
    return [
        Compared(
            row=row,
            remark=remarks.get(row, ""),
            seeds=seeds,
            accuracies=tuple(found.values()),
            differences=tuple(
                found[seed] - control[seed] for seed in sorted(found) if seed in control
            ),
        )
        for row, found in rows.items()
    ]


def sentences(compared: Sequence[Compared]) -> list[str]:
    """Which strategies helped, which cannot be told from none, which did harm."""
    others = [each for each in compared if each.row != NONE]
    said = {
        ABOVE: "More accurate than none",
        CONTAINS: "Not to be told from none (the interval contains 0)",
        BELOW: "Less accurate than none",
        UNKNOWN: "Too few trials to tell",
    }
    found = []
    for verdict, words in said.items():
        rows = [each.row for each in others if each.verdict == verdict]
        if rows or verdict in (ABOVE, BELOW):
            found.append(f"{words}: {', '.join(rows) if rows else 'no strategy'}.")
    return found


def summary(tables: Iterable[Sequence[Compared]]) -> str:
    """All verdicts counted, and how many would exclude 0 by chance."""
    verdicts = [
        each.verdict for table in tables for each in table
        if each.row != NONE and each.verdict != UNKNOWN
    ]  # fmt: skip
    if not verdicts:
        return "No interval can be told of fewer than two seeds."
    counts = {verdict: verdicts.count(verdict) for verdict in (ABOVE, CONTAINS, BELOW)}
    by_chance = (1 - CONFIDENCE) * len(verdicts)
    return (
        f"Of {len(verdicts)} comparisons the interval lies above 0 in {counts[ABOVE]}, contains 0 "
        f"in {counts[CONTAINS]} and lies below 0 in {counts[BELOW]}. Where nothing differs, about "
        f"{by_chance:.0f} of so many would exclude 0 by chance."
    )


def as_markdown(by_labels: Mapping[str, Sequence[Compared]]) -> list[str]:
    """A setup's table: all labels to the left, scarce ones to the right; then the sentences."""
    head, rule = ["strategy"], ["---"]
    for labels in by_labels:
        head += [LABELS[labels], "minus none", "95 % interval"]
        rule += ["---"] * 3
    rows = {row: [_name(each)] for each in next(iter(by_labels.values())) for row in [each.row]}
    for compared in by_labels.values():
        for each in compared:
            *plain, interval = each.cells
            bold = interval and each.verdict in (ABOVE, BELOW)
            rows[each.row] += [*plain, f"**{interval}**" if bold else interval]
    lines = [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows.values())]
    for labels, compared in by_labels.items():
        start = LABELS[labels][0].upper() + LABELS[labels][1:]
        lines += ["", f"{start}:", "", *(f"- {sentence}" for sentence in sentences(compared))]
    return lines


def _name(compared: Compared) -> str:
    return f"{compared.row} ({compared.remark})" if compared.remark else compared.row


def _with_deviation(values: Sequence[float], sign: str) -> str:
    middle = f"{mean(values):{sign}.1f}"
    return f"{middle} ± {stdev(values):.1f}" if len(values) > 1 else middle
