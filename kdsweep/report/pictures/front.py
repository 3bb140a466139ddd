"""Accuracy against size: the front as steps, controls and teacher marked, the dominated pale."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kdsweep.report.axes import LABELS, Axes, focus
from kdsweep.report.labels import strategy_label, value_words
from kdsweep.report.pictures.canvas import (
    CONTROL,
    FRONT,
    PALE,
    TEACHER,
    dress,
    label,
    legend_below,
    logarithmic,
    mpl_figure,
    note_above,
    outside_words,
    plotly_figure,
    png_of,
    size_axis,
    words,
)
from kdsweep.report.pictures.picture import Picture
from kdsweep.report.pictures.view import SweepView
from kdsweep.report.rows import completed
from kdsweep.report.table import metric_text
from kdsweep.results.record import TrialResult

_MOST_LABELS = 8


@dataclass(frozen=True)
class Mark:
    """A student in the picture; ``spread`` is a standard deviation over its replicates, or zero."""

    x: float
    y: float
    spread: float
    strategy: str
    hover: str


@dataclass(frozen=True)
class FrontData:
    """All complete students by what they are; each group is sorted by size.

    With more than two objectives it is a projection on size and quality, and ``note`` says so.
    """

    title: str
    note: str
    axes: Axes
    noun: str
    front: tuple[Mark, ...]
    controls: tuple[Mark, ...]
    others: tuple[Mark, ...]
    teacher: tuple[float, float] | None
    low: float
    high: float
    """The part of the quality axis that is shown at first."""

    @property
    def notes(self) -> str:
        """What is not to be seen in it."""
        values = (mark.y for mark in self.others)
        outside = outside_words(values, self.low, self.high, self.noun)
        return "; ".join(filter(None, [self.note, outside]))


def gather(view: SweepView) -> FrontData | None:
    """The students to draw; none where no trial is complete yet."""
    groups: dict[str, list[Mark]] = {"front": [], "control": [], "other": []}
    for result in view.complete:
        point = view.axes.point(result.metrics)
        if point is None:
            continue
        mark = Mark(*point, view.axes.spread(result), strategy_label(result), hover(result))
        on_front = result.trial_id in view.on_front
        if on_front:
            groups["front"].append(mark)
        if result.role == "control":
            groups["control"].append(mark)
        elif not on_front:
            groups["other"].append(mark)
    if not any(groups.values()):
        return None
    by_size = {name: tuple(sorted(g, key=lambda m: (m.x, m.y))) for name, g in groups.items()}
    teacher = view.axes.point(view.teacher) if view.teacher else None
    low, high = _shown(by_size["front"] + by_size["control"], by_size["other"], teacher)
    projected = [m for m in view.meta.objectives if m not in (view.axes.x, view.axes.y)]
    return FrontData(
        title=f"{view.meta.name}: {completed(view.results, 'complete')}",
        note=f"front over {', '.join(view.meta.objectives)}, projected" if projected else "",
        axes=view.axes, noun=view.noun, teacher=teacher, low=low, high=high,
        front=by_size["front"], controls=by_size["control"], others=by_size["other"],
    )  # fmt: skip


def hover(result: TrialResult) -> str:
    """What is said of a student that one points at, as Plotly reads it."""
    strategy = result.trial.get("strategy")
    strengths = strategy if isinstance(strategy, dict) else {}
    lines = [f"<b>{words(result.label)}</b>", f"strategy {words(strategy_label(result))}"]
    for key, name in (("temperature", "T"), ("alpha", "alpha")):
        if isinstance(strengths.get(key), int | float):
            lines.append(f"{name} {words(value_words(strengths[key]))}")
    for metric in ("accuracy", "params"):
        if metric in result.metrics:
            lines.append(f"{metric} {words(metric_text(result, metric))}")
    return "<br>".join([*lines, f"trial {words(result.trial_id)}"])


def _shown(
    marked: Sequence[Mark], others: Sequence[Mark], teacher: tuple[float, float] | None
) -> tuple[float, float]:
    """What matters is shown, with the bars; a few trials at chance level are not."""
    ends = [mark.y + side * mark.spread for mark in marked for side in (-1, 0, 1)]
    wanted = [*ends, *([teacher[1]] if teacher else [])]
    return focus(wanted, [*wanted, *(mark.y for mark in others)])


def draw_figure(data: FrontData) -> Any:
    """The students as marks with what they are; those far below are there when one zooms out."""
    marks = [*data.front, *data.controls, *data.others]
    sizes = [*(mark.x for mark in marks), *([data.teacher[0]] if data.teacher else [])]
    figure = plotly_figure(
        xaxis=size_axis(f"{LABELS[data.axes.x]} (log scale)", sizes),
        yaxis={"title": {"text": LABELS[data.axes.y]}, "range": [data.low, data.high]},
        hovermode="closest",
    )  # fmt: skip
    looks: list[tuple[str, tuple[Mark, ...], dict[str, Any]]] = [
        (f"other {data.noun}s", data.others, {"size": 7, "color": PALE, "opacity": 0.55}),
        ("Pareto front", data.front, {"size": 10, "color": FRONT}),
        ("controls", data.controls,
         {"size": 12, "symbol": "diamond-open", "color": CONTROL, "line": {"width": 2}}),
    ]  # fmt: skip
    for name, group, look in looks:
        if not group:
            continue
        is_front, errors = name == "Pareto front", any(mark.spread for mark in group)
        more = {}
        if is_front:
            # A step says what can be had for at most this size; a slope would promise more.
            more = {"line": {"shape": "hv", "color": FRONT, "width": 2}}
        if errors and name[:5] != "other":
            spreads = [mark.spread for mark in group]
            more["error_y"] = {"array": spreads, "thickness": 1.2, "width": 4}
        figure.add_scatter(
            x=[mark.x for mark in group], y=[mark.y for mark in group],
            mode="lines+markers" if is_front else "markers", marker=look,
            name=f"{name} ({len(group)})",
            hovertext=[mark.hover for mark in group], hoverinfo="text", **more,
        )  # fmt: skip
    if data.teacher is not None:
        x, y = data.teacher
        figure.add_hline(y=y, line={"color": TEACHER, "width": 1, "dash": "dash"}, opacity=0.7)
        figure.add_scatter(
            x=[x], y=[y], mode="markers", name="teacher", hoverinfo="text",
            hovertext=[f"<b>teacher</b><br>{words(LABELS[data.axes.y])} {y:.4g}<br>{x:,.6g}"],
            marker={"size": 16, "symbol": "star", "color": TEACHER},
        )  # fmt: skip
    note_above(figure, data.notes)
    return figure


def draw_png(data: FrontData) -> bytes:
    """The same, with the strategies of the front written beside their marks."""
    figure = mpl_figure()
    plot = figure.add_subplot()
    _draw_marks(plot, data)
    if data.teacher is not None:
        plot.axhline(data.teacher[1], c=TEACHER, lw=1, ls="--", alpha=0.7, zorder=1)
        plot.scatter(*data.teacher, s=190, marker="*", c=TEACHER, ec="white", lw=0.8, zorder=6,
                     label="teacher")  # fmt: skip
    step = max(1, -(-len(data.front) // _MOST_LABELS))
    for mark in data.front[::step]:
        plot.annotate(label(mark.strategy), (mark.x, mark.y), xytext=(6, -11), fontsize=7.5,
                      textcoords="offset points", color="#334155", zorder=7)  # fmt: skip
    logarithmic(plot)
    plot.set_ylim(data.low, data.high)
    dress(
        plot, title=data.title, x=f"{LABELS[data.axes.x]} (log scale)", y=LABELS[data.axes.y],
        note=data.notes,
    )  # fmt: skip
    legend_below(figure, plot)
    return png_of(figure)


def _draw_marks(plot: Any, data: FrontData) -> None:
    def places(marks: Sequence[Mark]) -> tuple[list[float], list[float]]:
        return [mark.x for mark in marks], [mark.y for mark in marks]

    if data.others:
        plot.scatter(*places(data.others), s=22, c=PALE, alpha=0.55, lw=0,
                     label=f"other {data.noun}s ({len(data.others)})", zorder=2)  # fmt: skip
    if data.front:
        plot.step(*places(data.front), where="post", c=FRONT, lw=1.6, alpha=0.8, zorder=3)
        plot.scatter(*places(data.front), s=48, c=FRONT, ec="white", lw=0.8, zorder=5,
                     label=f"Pareto front ({len(data.front)})")  # fmt: skip
    if data.controls:
        plot.scatter(*places(data.controls), s=70, marker="D", c="none", ec=CONTROL, lw=1.8,
                     label="controls", zorder=6)  # fmt: skip
    # Among the many others bars would be a tangle.
    for marks, colour in ((data.front, FRONT), (data.controls, CONTROL)):
        for mark in marks:
            if mark.spread:
                plot.errorbar(mark.x, mark.y, yerr=mark.spread, c=colour, lw=1.1, capsize=3,
                              alpha=0.8, zorder=4)  # fmt: skip


PICTURE = Picture(
    title="The front",
    caption=(
        "Each mark is a student but for the star, which is the teacher; no student is both smaller "
        "and more accurate than one on the line."
    ),
    gather=gather,
    draw_figure=draw_figure,
    draw_png=draw_png,
)
