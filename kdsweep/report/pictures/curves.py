"""How the students of the front learned, epoch by epoch."""

import math
from dataclasses import dataclass
from typing import Any

from kdsweep.report.axes import LABELS, Axes, focus, short
from kdsweep.report.labels import strategy_label
from kdsweep.report.pictures.canvas import (
    SERIES,
    dress,
    label,
    legend_below,
    mpl_figure,
    note_above,
    outside_words,
    plotly_figure,
    png_of,
    words,
)
from kdsweep.report.pictures.picture import Picture
from kdsweep.report.pictures.view import SweepView
from kdsweep.results.record import EpochMetrics, TrialResult

MOST_CURVES = 10


@dataclass(frozen=True)
class Curve:
    """One trial: quality after each epoch, and which member of the front it belongs to."""

    member: int
    name: str
    epochs: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class CurvesData:
    """The curves of the front's members, the smallest first; several where it has replicates."""

    name: str
    quality: str
    curves: tuple[Curve, ...]
    left_out: int
    low: float
    high: float

    @property
    def notes(self) -> str:
        """What is not to be seen in it."""
        others = f"{self.left_out} others of the front are left out" if self.left_out else ""
        values = (value for curve in self.curves for value in curve.values)
        outside = outside_words(values, self.low, self.high, "epoch")
        return "; ".join(filter(None, [others, outside]))


def gather(view: SweepView) -> CurvesData | None:
    """Members evenly chosen along the front, both ends among them; none where it has no epochs."""
    chosen = evenly(len(view.front), MOST_CURVES)
    accuracy = view.axes.y == "accuracy"
    records = {result.trial_id: result for result in view.results}
    curves = []
    for member in chosen:
        name = _name(view.front[member], view.axes)
        for trial_id in view.front[member].trial_ids:
            record = records.get(trial_id)
            seen = () if record is None else record.epochs
            points = [(each.epoch, _quality(each, accuracy)) for each in seen]
            points = [point for point in points if math.isfinite(point[1])]
            if points:
                epochs, values = zip(*points, strict=True)
                curves.append(Curve(member, name, epochs, values))
    if not curves:
        return None
    last = [curve.values[-1] for curve in curves]
    half = [value for curve in curves for value in curve.values[len(curve.values) // 4 :]]
    low, high = focus([*last, *half], [value for curve in curves for value in curve.values])
    return CurvesData(
        name=view.meta.name, quality=LABELS["accuracy" if accuracy else "loss"],
        curves=tuple(curves), left_out=len(view.front) - len(chosen), low=low, high=high,
    )  # fmt: skip


def _name(result: TrialResult, axes: Axes) -> str:
    """``2.3k: kd``: its size and its strategy, which is short enough for a legend."""
    size = result.metrics.get(axes.x)
    said = strategy_label(result)
    return said if size is None else f"{short(size)}: {said}"


def evenly(num: int, most: int) -> list[int]:
    """At most ``most`` of ``num`` places, both ends among them."""
    if num <= most:
        return list(range(num))
    return sorted({round(i * (num - 1) / (most - 1)) for i in range(most)})


def _quality(epoch: EpochMetrics, accuracy: bool) -> float:
    return 100 * epoch.accuracy if accuracy else epoch.loss


def draw_figure(data: CurvesData) -> Any:
    """A line for each trial, in the colour of its member of the front."""
    figure = plotly_figure(
        xaxis={"title": {"text": "epoch"}},
        yaxis={"title": {"text": data.quality}, "range": [data.low, data.high]},
        hovermode="closest",
    )
    seen: set[int] = set()
    for curve in data.curves:
        figure.add_scatter(
            x=list(curve.epochs), y=list(curve.values), mode="lines+markers", marker={"size": 4},
            line={"color": _colour(curve.member), "width": 1.6}, name=words(curve.name),
            legendgroup=str(curve.member), showlegend=curve.member not in seen,
            hovertemplate="epoch %{x}: %{y:.4g}<extra>" + words(curve.name) + "</extra>",
        )  # fmt: skip
        seen.add(curve.member)
    note_above(figure, data.notes)
    return figure


def draw_png(data: CurvesData) -> bytes:
    """The same."""
    figure = mpl_figure()
    plot = figure.add_subplot()
    seen: set[int] = set()
    for curve in data.curves:
        name = None if curve.member in seen else label(curve.name)
        plot.plot(curve.epochs, curve.values, c=_colour(curve.member), lw=1.4, marker=".",
                  ms=4, alpha=0.9, label=name, zorder=3)  # fmt: skip
        seen.add(curve.member)
    plot.set_ylim(data.low, data.high)
    plot.xaxis.get_major_locator().set_params(integer=True)
    dress(plot, title=f"{data.name}: learning curves of the front", x="epoch", y=data.quality,
          note=data.notes)  # fmt: skip
    legend_below(figure, plot, columns=3)
    return png_of(figure)


def _colour(member: int) -> str:
    return SERIES[member % len(SERIES)]


PICTURE = Picture(
    title="Learning curves of the front",
    caption=(
        "On validation data after each epoch. A curve that still rises at its end says that this "
        "student would gain from more epochs. Replicates of a student have its colour."
    ),
    gather=gather,
    draw_figure=draw_figure,
    draw_png=draw_png,
)
