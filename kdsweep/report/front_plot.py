"""The front drawn large, each of its students with a letter and a line of its own."""

from collections.abc import Sequence
from string import ascii_letters

from kdsweep.report.axes import axes_of
from kdsweep.report.choice import label
from kdsweep.report.table import metric_text
from kdsweep.report.text_plot import text_plot
from kdsweep.results.pareto import Objectives
from kdsweep.results.record import TrialResult


def large_plot(
    results: Sequence[TrialResult],
    front: Sequence[TrialResult],
    objectives: Objectives,
    *,
    teacher: dict[str, float] | None,
    width: int,
    height: int,
) -> str:
    """As ``text_plot``, with the letters of ``key_lines``; beyond 52 students have a dot."""
    return text_plot(
        results, front, objectives,
        teacher=teacher, width=width, height=height, names=_letters(front),
    )  # fmt: skip


def key_lines(front: Sequence[TrialResult], objectives: Objectives) -> list[str]:
    """``  a  00031    538  86.91%  cnn w2, kd`` for each student that has a letter."""
    axes = axes_of(objectives)
    letters = _letters(front)
    shown = [result for result in front if result.trial_id in letters]
    columns = [[result.trial_id for result in shown]]
    columns += [[metric_text(result, metric) for result in shown] for metric in (axes.x, axes.y)]
    widths = [max(map(len, column), default=0) for column in columns]
    lines = []
    for number, result in enumerate(shown):
        cells = (f"{each[number]:>{width}}" for each, width in zip(columns, widths, strict=True))
        lines.append(f"  {letters[result.trial_id]}  {'  '.join(cells)}  {label(result)}")
    left = len(front) - len(shown)
    return [*lines, f"  and {left} more"] if left > 0 else lines


def _letters(front: Sequence[TrialResult]) -> dict[str, str]:
    return dict(zip((result.trial_id for result in front), ascii_letters, strict=False))
