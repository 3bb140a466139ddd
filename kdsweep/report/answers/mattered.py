"""Which settings mattered, T and alpha first, and in which direction."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from kdsweep.report.answers.section import Cell, Section, Table, cells
from kdsweep.report.answers.sureness import Interval, mean_and_deviation, rank_correlation
from kdsweep.report.importance import (
    LEAST_STUDENTS,
    Importance,
    SettingShare,
    importance_rows,
    missing_words,
    setting_labels,
    summary_words,
)
from kdsweep.report.pictures.view import SweepView
from kdsweep.report.size_classes import size_classes
from kdsweep.report.varied import Varied, varied, with_owners
from kdsweep.results.record import TrialResult

_FIRST = ("T", "alpha")
_LAST_WORDS = {"T": "temperature", "alpha": "alpha"}
_MOST_SAID = 3


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
    for setting in with_owners(varied(kept), kept):
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
    importance = view.importance or {}
    tables = [_importance_table(importance)] if importance_rows(importance) else []
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
        key="mattered", title="What mattered?", sentences=tuple(_sentences(found, view)),
        tables=tuple(tables), pictures=("importance", "coordinates"),
        numbers={
            "importance": importance_rows(importance),
            "importance_missing": missing_words(importance),
            "directions": [{**asdict(each), "verdict": each.verdict} for each in found],
        },
    )  # fmt: skip


def _sentences(found: Sequence[Direction], view: SweepView) -> Iterable[str]:
    yield from _importance_words(view.importance)
    if found:
        yield (
            "Whether more of a setting is better is another question, asked of all students by "
            "their ranks, among those of like size."
        )
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


def _importance_words(importance: Importance | None) -> Iterable[str]:
    """What the picture shows, from the same numbers: what is above chance, then T and alpha."""
    if importance is None:
        yield "No importance is given: it was not computed."
        return
    for objective, found in importance.items():
        labels = setting_labels([each.setting for each in found.settings])
        above = found.above_chance[:_MOST_SAID]
        told = "; ".join(f"{labels[each.setting]} {_share_words(each)}" for each in above)
        yield summary_words(objective, found) + (f" {told}." if told else "")
        for name in _FIRST:
            own = [
                each for each in found.settings
                if each.setting.rpartition(".")[2] == _LAST_WORDS[name] and each not in above
            ]  # fmt: skip
            if own:
                said = "; ".join(f"{labels[each.setting]} {_share_words(each)}" for each in own)
                yield f"{name}, for who is best by {objective}: {said}."


def _share_words(each: SettingShare) -> str:
    if each.share is None or each.chance is None:
        return f"too few to tell ({each.students} of the {LEAST_STUDENTS} students that it takes)"
    verdict = "told from chance" if each.above_chance else "not told from chance"
    return (
        f"{100 * each.share:.0f}% of the importance, where shuffled outcomes reach "
        f"{100 * each.chance:.0f}% in 1 of 20 ({verdict})"
    )


def _importance_table(importance: Importance) -> Table:
    rows = []
    for objective, found in importance.items():
        labels = setting_labels([each.setting for each in found.settings])
        for each in found.settings:
            verdict = "above chance" if each.above_chance else "not told from chance"
            rows.append(
                cells(
                    objective, labels[each.setting], _whole_percent(each.share),
                    _whole_percent(each.chance), "too few" if each.share is None else verdict,
                    each.students,
                )
            )  # fmt: skip
    note = (
        "Shares of the importance (PED-ANOVA) for being among the best in each objective, as in "
        "the picture, over the n complete students that have the setting. By chance is what the "
        "setting comes to with shuffled outcomes in one of twenty, in percent of the same sum."
    )
    return Table(("objective", "setting", "share", "by chance", "", "n"), tuple(rows), note)


def _whole_percent(share: float | None) -> Cell:
    return Cell("-") if share is None else Cell(f"{100 * share:.0f}%", share)


def _ends(each: Direction) -> str:
    return f"{each.interval[0]:+.2f} to {each.interval[1]:+.2f}"
