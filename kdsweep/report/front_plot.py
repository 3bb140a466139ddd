"""The front drawn large, each of its students with a letter and a line of its own."""

from collections.abc import Sequence
from string import ascii_letters

from kdsweep.report.axes import axes_of
from kdsweep.report.choice import label
from kdsweep.report.table import interval_note, interval_text, metric_text
from kdsweep.report.text_plot import text_plot
from kdsweep.results.noise import accuracy_interval
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


def key_lines(
    front: Sequence[TrialResult], objectives: Objectives, examples: int | None = None
) -> list[str]:
    """``  a  00031    538  86.91% (83.0-90.0)  cnn w2, kd`` for each student that has a letter.

    In brackets is the interval of its accuracy, where that is an axis and ``examples`` are known
    or there are replicates, see ``noise.accuracy_interval``.
    """
    axes = axes_of(objectives)
    letters = _letters(front)
    shown = [result for result in front if result.trial_id in letters]
    columns = [[result.trial_id for result in shown]]
    columns += [[metric_text(result, metric) for result in shown] for metric in (axes.x, axes.y)]
    if axes.y == "accuracy":
        columns[-1] = [_with_interval(text, accuracy_interval(result, examples))
                       for text, result in zip(columns[-1], shown, strict=True)]  # fmt: skip
    widths = [max(map(len, column), default=0) for column in columns]
    lines = []
    for number, result in enumerate(shown):
        cells = (f"{each[number]:>{width}}" for each, width in zip(columns, widths, strict=True))
        lines.append(f"  {letters[result.trial_id]}  {'  '.join(cells)}  {label(result)}")
    left = len(front) - len(shown)
    lines += [f"  and {left} more"] if left > 0 else []
    note = interval_note(shown, examples) if axes.y == "accuracy" else ""
    return [*lines, f"  {note}"] if note else lines


def _with_interval(text: str, interval: tuple[float, float] | None) -> str:
    return text if interval is None else f"{text} ({interval_text(interval)})"


def _letters(front: Sequence[TrialResult]) -> dict[str, str]:
    return dict(zip((result.trial_id for result in front), ascii_letters, strict=False))
