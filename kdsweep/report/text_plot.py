"""Size against quality in plain characters, for a terminal or a log."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from kdsweep.report.axes import LABELS, Axes, axes_of, focus, short
from kdsweep.results.pareto import Objectives
from kdsweep.results.record import TrialResult
from kdsweep.results.replicates import by_point

_FRONT, _CONTROL, _BOTH, _BEATEN, _TEACHER = "●", "◆", "◈", "·", "★"
_GUTTER = 7


Mark = tuple[float, float, str]
"""Where a character goes, in the units of the axes."""


def text_plot(
    results: Sequence[TrialResult],
    front: Sequence[TrialResult],
    objectives: Objectives,
    *,
    teacher: dict[str, float] | None = None,
    width: int = 76,
    height: int = 12,
    names: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """``height`` lines of at most ``width`` characters; empty where there is nothing to draw yet.

    Replicates are one mark, at their mean; a control on the front has one of its own. Trials far
    below the front are left out, so that the front fills the picture. ``names`` are characters for
    members of the front, by their ids.
    """
    axes = axes_of(objectives)
    marks = _marks(results, front, axes, teacher, names)
    ends = dict.fromkeys([*names.values()][:: max(1, len(names) - 1)])
    both = f" {_BOTH} both" if any(mark == _BOTH for _, _, mark in marks) else ""
    legend = f"{'-'.join(ends) or _FRONT} front {_CONTROL} control{both} {_BEATEN} other"
    legend += f" {_TEACHER} teacher" if teacher else ""
    return drawn(marks, axes, legend, background=_BEATEN, width=width, height=height)


def drawn(
    marks: Sequence[Mark], axes: Axes, legend: str, *, background: str, width: int, height: int
) -> str:
    """Marks between axes with numbers, the last of those in one place on top.

    Those of the character ``background`` may lie outside.
    """
    if not marks:
        return ""
    every_y = [y for _, y, _ in marks]
    low, high = focus([y for _, y, mark in marks if mark != background], every_y)
    # No room is needed around a character, so that the numbers are those of real trials.
    inside = [y for y in every_y if low <= y <= high]
    low, high = min(inside), max(inside)
    low = low if low < high else low - 0.01 * abs(low) - 1e-3
    left, right = _x_range([x for x, _, _ in marks])
    columns, lines = max(20, width - _GUTTER), max(3, height - 4)
    grid = [[" "] * columns for _ in range(lines)]
    for x, y, mark in marks:
        if low <= y <= high:
            column = round((math.log10(x) - left) / (right - left) * (columns - 1))
            line = round((high - y) / (high - low) * (lines - 1))
            grid[line][column] = mark
    labelled = {0, lines // 2, lines - 1}
    body = [f"{LABELS[axes.y]:>{_GUTTER}}"]
    for i, line_of_marks in enumerate(grid):
        value = high - (high - low) * i / (lines - 1)
        label = f"{value:{_GUTTER - 2}.4g}" if i in labelled else " " * (_GUTTER - 2)
        body.append(f"{label} │{''.join(line_of_marks)}".rstrip())
    return "\n".join([*body, *_below(left, right, columns, axes, legend)])


def _marks(
    results: Sequence[TrialResult],
    front: Sequence[TrialResult],
    axes: Axes,
    teacher: dict[str, float] | None,
    names: Mapping[str, str],
) -> list[Mark]:
    """Points with their characters, the most important last: it is the one left on top."""
    on_front = {result.trial_id for result in front}
    marks: list[tuple[int, Mark]] = []
    for result in by_point(results):
        point = axes.point(result.metrics)
        if point is None or result.role == "teacher" or result.status != "complete":
            continue
        if result.trial_id in names:
            marks.append((2, (*point, names[result.trial_id])))
        elif result.trial_id in on_front:
            marks.append((2, (*point, _BOTH if result.role == "control" else _FRONT)))
        elif result.role == "control":
            marks.append((1, (*point, _CONTROL)))
        else:
            marks.append((0, (*point, _BEATEN)))
    point = axes.point(teacher) if teacher and marks else None
    if point is not None:
        marks.append((3, (*point, _TEACHER)))
    return [mark for _, mark in sorted(marks, key=lambda mark: mark[0])]


def _x_range(values: Sequence[float]) -> tuple[float, float]:
    """In powers of ten; never empty."""
    left, right = math.log10(min(values)), math.log10(max(values))
    return (left, right) if right - left > 0.05 else (left - 0.1, right + 0.1)


def _below(left: float, right: float, columns: int, axes: Axes, legend: str) -> list[str]:
    """The axis with three numbers, then what is what."""
    texts = [short(10**at) for at in (left, (left + right) / 2, right)]
    room = columns - sum(len(text) for text in texts)
    gap = " " * max(1, room // 2)
    margin = " " * (_GUTTER - 1)
    return [
        f"{margin}└{'─' * columns}",
        f"{margin} {texts[0]}{gap}{texts[1]}{' ' * max(1, room - len(gap))}{texts[2]}",
        f"{margin} {LABELS[axes.x]}   {legend}",
    ]
