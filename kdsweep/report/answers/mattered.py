"""Which settings mattered, T and alpha first, and in which direction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kdsweep.report.answers.section import Section, Table, cells
from kdsweep.report.answers.sureness import Interval, mean_and_deviation, rank_correlation
from kdsweep.report.pictures.importance import MOST_SETTINGS
from kdsweep.report.pictures.view import SweepView
from kdsweep.report.size_classes import size_classes
from kdsweep.report.varied import Varied, varied
from kdsweep.results.record import TrialResult

_FIRST = ("T", "alpha")
_FOLLOWS = ("params", "macs", "size_bytes")
"""From the student's own settings, whatever they are: nobody need search for what decides them."""


@dataclass(frozen=True)
class Direction:
    """How a numeric setting goes with accuracy among students of like size."""

    setting: str
    num: int
    low: float
    high: float
    """The values that were tried."""
    correlation: float
    """Of ranks: +1 where more is always better, -1 where less is."""
    interval: Interval

    @property
    def verdict(self) -> str:
        """``higher is better``, ``lower is better``, or that it is not told from no direction."""
        low, high = self.interval
        return "higher is better" if low > 0 else "lower is better" if high < 0 else "cannot tell"


def directions(view: SweepView) -> list[Direction]:
    """Each numeric setting that varied and that at least six complete students have.

    A student's accuracy counts as how far it is above the mean of its class of sizes.
    """
    students = [result for result in view.complete if "accuracy" in result.metrics]
    above = above_like_sizes(students, view)
    kept = [result for result in students if result.trial_id in above]
    found = []
    for setting in varied(kept):
        values = _numbers(setting, kept)
        ids = list(values)
        told = rank_correlation([values[i] for i in ids], [above[i] for i in ids])
        if told is not None:
            ends = min(values.values()), max(values.values())
            found.append(Direction(setting.header, len(ids), *ends, *told))
    return sorted(found, key=lambda each: (each.setting not in _FIRST, -abs(each.correlation)))


def above_like_sizes(students: Sequence[TrialResult], view: SweepView) -> dict[str, float]:
    """By trial: its accuracy less the mean of its class of sizes; of classes of two or more."""
    above: dict[str, float] = {}
    for group in size_classes(students, view.axes.x):
        if len(group.results) > 1:
            mean, _ = mean_and_deviation([r.metrics["accuracy"] for r in group.results])
            # Rounded, so that equal accuracies of two classes stay equal ranks.
            above |= {r.trial_id: round(r.metrics["accuracy"] - mean, 12) for r in group.results}
    return above


def _numbers(setting: Varied, students: Sequence[TrialResult]) -> dict[str, float]:
    return {
        result.trial_id: float(value)
        for result, value in zip(students, setting.values, strict=True)
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def mattered(view: SweepView) -> Section:
    """The answer in words, the shares of importance, and directions."""
    found = directions(view)
    tables = []
    shares = {name: dict(each) for name, each in (view.importance or {}).items()}
    if shares:
        tables.append(_importance_table(shares))
    if found:
        rows = [
            cells(each.setting, each.num, f"{each.low:.3g} to {each.high:.3g}",
                  f"{each.correlation:+.2f}", _ends(each), each.verdict)
            for each in found
        ]  # fmt: skip
        header = ("setting", "n", "tried", "rank correlation", "95% interval", "direction")
        note = (
            "Spearman's rank correlation of the setting with how far a student's accuracy is above "
            "the mean of those of like size, over n complete students. It misses what is best in "
            "the middle of a range. The search chose the values, so that they are no random sample."
        )
        tables.append(Table(header, tuple(rows), note))
    return Section(
        key="mattered", title="What mattered?", sentences=tuple(_sentences(found, shares, view)),
        tables=tuple(tables), pictures=("importance", "coordinates"),
        numbers={
            "importance": shares or None,
            "directions": [{**asdict(each), "verdict": each.verdict} for each in found],
        },
    )  # fmt: skip


def _sentences(
    found: Sequence[Direction], shares: Mapping[str, Mapping[str, float]], view: SweepView
) -> Iterable[str]:
    by_name = {each.setting: each for each in found}
    for name in _FIRST:
        if name in by_name:
            each = by_name[name]
            yield (
                f"{name} between {each.low:.3g} and {each.high:.3g}: {each.verdict} (rank "
                f"correlation with accuracy among students of like size {each.correlation:+.2f}, "
                f"95% {_ends(each)}, n = {each.num})."
            )
        else:
            yield f"{name} did not vary among enough complete students to say anything of it."
    others = [e for e in found if e.setting not in _FIRST and e.verdict != "cannot tell"]
    for each in others:
        yield (
            f"{each.setting}: {each.verdict} between {each.low:.3g} and {each.high:.3g} (rank "
            f"correlation {each.correlation:+.2f}, 95% {_ends(each)}, n = {each.num})."
        )
    if len(found) > 1:
        missing = 0.05 * len(found)
        yield f"Of {len(found)} such intervals {missing:.1f} would exclude zero by chance alone."
    for objective in view.meta.objectives if shares else ():
        if objective in _FOLLOWS:
            continue
        if any(shares.get(objective, {}).values()):
            best = max(shares[objective].items(), key=lambda item: item[1])
            yield (
                f"Of the settings, {best[0]} decides most about {objective}: "
                f"{100 * best[1]:.0f}% of the importance (PED-ANOVA)."
            )
        else:
            yield (
                f"Which settings the best tenth of all students share is another question: for "
                f"{objective} no share is above what shuffled students reach in one of twenty."
            )
    if not shares:
        num = len(view.complete)
        yield (
            "No importance is given: it was not computed, there are too few complete students "
            f"({num}; 12 are needed), or no setting is told from chance."
        )


def _importance_table(shares: Mapping[str, Mapping[str, float]]) -> Table:
    names = {name for each in shares.values() for name, share in each.items() if share > 0}
    most = {name: max(each.get(name, 0.0) for each in shares.values()) for name in names}
    order = sorted(names, key=lambda name: (-most[name], name))[:MOST_SETTINGS]
    rows: list[Any] = [
        cells(name, *(f"{100 * each.get(name, 0.0):.0f}%" for each in shares.values()))
        for name in order
    ]
    note = (
        "Shares of the importance (PED-ANOVA) for being among the best in each objective. Settings "
        "that come to no more than in shuffled data, or that few students have, are left out."
    )
    return Table(("setting", *shares), tuple(rows), note)


def _ends(each: Direction) -> str:
    return f"{each.interval[0]:+.2f} to {each.interval[1]:+.2f}"
