"""A comparison of runs for the terminal and for scripts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table

from kdsweep.report.axes import axes_of
from kdsweep.report.choice import label
from kdsweep.report.comparable import letter
from kdsweep.report.labels import spent_words
from kdsweep.report.rows import finite_or_none, rows
from kdsweep.report.table import cell, metric_text, plain_table, value_text
from kdsweep.report.text_plot import Mark, drawn
from kdsweep.results.compare import Band, Compared, Comparison, Shared
from kdsweep.results.noise import accuracy_noise
from kdsweep.results.record import TrialResult

_BOTH = "#"
_LONGEST, _BEFORE = 60, 16
"""Characters of a value that are shown; of what is before a difference."""


def run_lines(runs: Sequence[Compared], places: Sequence[str]) -> list[str]:
    """``A  runs/digits: complete, 42 trials, 40s, 620 epochs of students``."""
    lines = []
    for number, (run, place) in enumerate(zip(runs, places, strict=True)):
        num = sum(result.role != "teacher" for result in run.results)
        spent = spent_words(run.meta)
        lines.append(f"{letter(number)}  {place}: {run.meta.status}, {num} trials, {spent}")
    return lines


def volume_table(found: Comparison) -> Table:
    """Hypervolume, best quality and the share of the joint front, a line for each run."""
    _, quality = found.objectives
    table = plain_table()
    table.add_column("run")
    for title in ("hypervolume", "front", "of the joint", "best"):
        table.add_column(title, justify="right", no_wrap=True)
    for number, (volume, members) in enumerate(zip(found.hypervolumes, found.fronts, strict=True)):
        shared = sum(number in each.runs for each in found.joint)
        best = _best(members, found)
        table.add_row(
            letter(number), f"{volume:.4f}", str(len(members)), str(shared),
            "-" if best is None else metric_text(best, quality),
        )  # fmt: skip
    num = str(len(found.joint))
    table.add_row("joint", f"{found.joint_hypervolume:.4f}", num, num, "")
    return table


def reference_words(found: Comparison) -> str:
    """What hypervolumes are measured to and in, in a sentence."""
    values = " and ".join(
        f"{metric} {value_text(metric, value)}" for metric, value in found.reference.items()
    )
    return (
        "hypervolume: the share of the area, over the logarithm of size, between the best values "
        f"of all fronts and the reference, {values}"
    )


def joint_table(found: Comparison) -> Table:
    """The members of the joint front with the runs that they are of."""
    size, quality = found.objectives
    table = plain_table()
    table.add_column(size, justify="right", no_wrap=True)
    table.add_column(quality, justify="right", no_wrap=True)
    for title in ("run", "student, strategy", "trial"):
        table.add_column(title, overflow="fold")
    for shared in found.joint:
        result = shared.result
        table.add_row(
            cell(metric_text(result, size)), cell(metric_text(result, quality)),
            " ".join(map(letter, shared.runs)), cell(label(result)), cell(result.trial_id),
        )  # fmt: skip
    return table


def band_table(found: Comparison) -> Table:
    """The best of each run in each band of size; the best of a band is marked."""
    table = plain_table()
    table.add_column(next(iter(found.objectives)), justify="right", no_wrap=True)
    for number in range(len(found.fronts)):
        table.add_column(letter(number), justify="right", no_wrap=True)
    for band in found.bands:
        best = _best([each for each in band.best if each is not None], found)
        cells = (_in_band(each, best, found) for each in band.best)
        table.add_row(_range(band, found), *map(cell, cells))
    return table


def band_noise_words(found: Comparison, examples: int | None) -> str | None:
    """In how many bands the runs cannot be told apart by accuracy; none if in all they can."""
    contested, within = 0, 0
    for band in found.bands:
        best = sorted(
            (each for each in band.best if each is not None),
            key=lambda each: each.metrics.get("accuracy", 0.0),
        )[-2:]
        if len(best) < 2 or "accuracy" not in found.objectives:
            continue
        contested += 1
        noise = accuracy_noise(best[0], best[1], examples)
        apart = best[1].metrics["accuracy"] - best[0].metrics["accuracy"]
        within += noise is not None and apart < noise
    if not within:
        return None
    return (
        f"noise: in {within} of the {contested} sizes that more than one run has, the best two "
        "differ by no more than chance may do"
    )


def plot(found: Comparison, *, width: int, height: int) -> str:
    """The fronts with a letter for each run; ``#`` where members of several lie in one place."""
    axes = axes_of(found.objectives)
    marks: list[Mark] = []
    for number, members in enumerate(found.fronts):
        for result in members:
            point = axes.point(result.metrics)
            if point is not None:
                marks.append((*point, letter(number)))
    shared = [each for each in found.joint if len(each.runs) > 1]
    for each in shared:
        point = axes.point(each.result.metrics)
        if point is not None:
            marks.append((*point, _BOTH))
    names = " ".join(letter(number) for number in range(len(found.fronts)))
    legend = f"the fronts of {names}" + (f", {_BOTH} of several" if shared else "")
    return drawn(marks, axes, legend, background="", width=width, height=height)


def differing_lines(differences: Mapping[str, Sequence[Any]]) -> list[str]:
    """A line for the path, and one for what each run has there."""
    lines = []
    for path, values in differences.items():
        lines.append(path)
        texts = ["not given" if value is None else str(value) for value in values]
        # What all begin with is no difference, and may be all that there is room for.
        letters = enumerate(zip(*texts, strict=False))
        common = next((place for place, each in letters if len(set(each)) > 1), 0)
        begin = max(0, common - _BEFORE) if max(map(len, texts)) > _LONGEST else 0
        for number, text in enumerate(texts):
            rest = f"...{text[begin:].lstrip()}" if begin else text
            shown = rest if len(rest) <= _LONGEST else f"{rest[: _LONGEST - 3]}..."
            lines.append(f"  {letter(number)}  {shown}")
    return lines


def comparison_row(
    runs: Sequence[Compared],
    places: Sequence[str],
    found: Comparison,
    *,
    doubts: Sequence[str],
    copies: Sequence[str],
    differences: Mapping[str, Sequence[Any]],
) -> dict[str, Any]:
    """All of it as plain data; runs are counted from 0."""
    return {
        "objectives": dict(found.objectives),
        "doubts": list(doubts),
        "copies": list(copies),
        "reference": {name: finite_or_none(each) for name, each in found.reference.items()},
        "runs": [
            {
                "run": place,
                "name": run.meta.name,
                "status": run.meta.status,
                "trials": sum(result.role != "teacher" for result in run.results),
                "wall_seconds": run.meta.wall_seconds,
                "student_epochs": run.meta.student_epochs,
                "cost": run.meta.cost,
                "hypervolume": volume,
                "front": rows(members),
            }
            for run, place, volume, members in zip(
                runs, places, found.hypervolumes, found.fronts, strict=True
            )
        ],
        "joint_hypervolume": found.joint_hypervolume,
        "joint": _shared_rows(found.joint),
        "bands": [
            {
                "low": band.low,
                "high": finite_or_none(band.high),
                "best": [None if each is None else _named(each, found) for each in band.best],
            }
            for band in found.bands
        ],
        "differences": {path: list(values) for path, values in differences.items()},
    }


def _shared_rows(joint: Iterable[Shared]) -> list[dict[str, Any]]:
    members = list(joint)
    described = rows([each.result for each in members])
    return [
        {"runs": list(each.runs), **row} for each, row in zip(members, described, strict=True)
    ]  # fmt: skip


def _named(result: TrialResult, found: Comparison) -> dict[str, Any]:
    return {"trial_id": result.trial_id, **{m: result.metrics[m] for m in found.objectives}}


def _best(members: Sequence[TrialResult], found: Comparison) -> TrialResult | None:
    _, quality = found.objectives
    sign = -1.0 if found.objectives[quality] == "max" else 1.0
    return min(members, key=lambda member: sign * member.metrics[quality], default=None)


def _in_band(result: TrialResult | None, best: TrialResult | None, found: Comparison) -> str:
    _, quality = found.objectives
    if result is None or best is None:
        return "-"
    mark = "*" if result.metrics[quality] == best.metrics[quality] else ""
    return metric_text(result, quality) + mark


def _range(band: Band, found: Comparison) -> str:
    size, _ = found.objectives
    whole = size != "latency_ms" and band.low >= 1
    high = value_text(size, band.high - 1 if whole else band.high)
    return f"{value_text(size, band.low)} to {high}"
