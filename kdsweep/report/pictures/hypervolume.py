"""The area that the front has covered, over the time in which the sweep trained."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from kdsweep.report.axes import Axes
from kdsweep.report.labels import clock_words
from kdsweep.report.pictures.canvas import (
    FRONT,
    dress,
    mpl_figure,
    plotly_figure,
    png_of,
    words,
)
from kdsweep.report.pictures.picture import Picture
from kdsweep.report.pictures.view import SweepView
from kdsweep.results.pareto import Points, eligible, hypervolume, non_dominated
from kdsweep.results.record import TrialResult

MARGIN = 0.1
_TITLE = "Hypervolume over time"
_UNITS = ((3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))


@dataclass(frozen=True)
class HypervolumeData:
    """After each complete student: the seconds trained, and the area in percent of the last."""

    name: str
    axes: Axes
    seconds: tuple[float, ...]
    percent: tuple[float, ...]
    hovers: tuple[str, ...]

    @property
    def unit(self) -> tuple[float, str]:
        """Seconds in the unit of the time axis, and its name."""
        return next((each for each in _UNITS if self.seconds[-1] >= 2 * each[0]), _UNITS[-1])

    @property
    def times(self) -> list[float]:
        """The time axis in that unit."""
        return [second / self.unit[0] for second in self.seconds]


def gather(view: SweepView) -> HypervolumeData | None:
    """The area between the front so far and a corner beyond the worst of all students that count.

    Quality against the logarithm of the size. None before two students cover an area.
    """
    meta, axes = view.meta, view.axes
    results = eligible(view.results, meta.objectives, constraints=meta.constraints)
    results = [result for result in results if axes.point(result.metrics) is not None]
    if len(results) < 2:
        return None
    trained = seconds_trained(view.results)
    at = {r.trial_id: max(trained[i] for i in r.trial_ids) for r in results}
    results.sort(key=lambda result: (at[result.trial_id], result.number))
    higher_is_better = meta.objectives.get(axes.y, "max" if axes.y == "accuracy" else "min")
    sign = -1.0 if higher_is_better == "max" else 1.0
    places = [axes.point(result.metrics) or (1.0, 0.0) for result in results]
    values = np.array([(math.log10(x), sign * y) for x, y in places])
    areas = areas_over_time(values)
    if areas[-1] <= 0:
        return None
    hovers = []
    for number, (result, area) in enumerate(zip(results, areas, strict=True), 1):
        said = f"{words(result.name)}<br>after {clock_words(at[result.trial_id])}"
        hovers.append(f"{said}, {number} complete<br>{100 * area / areas[-1]:.1f}% of the last")
    return HypervolumeData(
        name=meta.name, axes=axes, seconds=tuple(at[r.trial_id] for r in results),
        percent=tuple(100 * area / areas[-1] for area in areas), hovers=tuple(hovers),
    )  # fmt: skip


def areas_over_time(values: Points) -> list[float]:
    """The hypervolume of the first 1, 2, ... rows of ``[N, 2]``, to be minimised.

    The reference is the worst value of all rows in each column, and a tenth of their range beyond
    it: so the ends of a front count as well.
    """
    worst = values.max(axis=0) + MARGIN * np.ptp(values, axis=0)
    best, areas = values[:0], list[float]()
    for row in values:
        if not areas or not (best <= row).all(axis=1).any():
            best = np.vstack([best, row])
            best = best[non_dominated(best)]
            areas.append(hypervolume(best, worst.tolist()))
        else:
            areas.append(areas[-1])
    return areas


def seconds_trained(results: tuple[TrialResult, ...]) -> dict[str, float]:
    """When each trial ended, in seconds in which any trial ran: pauses of a sweep do not count."""
    spans = sorted((r.started, r.started + max(r.seconds, 0.0), r.trial_id) for r in results)
    idle, until, found = 0.0, spans[0][0] if spans else 0.0, dict[str, float]()
    first = until
    for begun, ended, trial_id in spans:
        idle += max(0.0, begun - until)
        until = max(until, ended)
        found[trial_id] = ended - first - idle
    return found


def draw_figure(data: HypervolumeData) -> Any:
    """A line of steps, each complete student a mark that says which one it was."""
    figure = plotly_figure(
        xaxis={"title": {"text": f"time trained [{data.unit[1]}]"}, "rangemode": "tozero"},
        yaxis={"title": {"text": "hypervolume [% of the last]"}, "range": [0, 104]},
    )
    figure.add_scatter(
        x=data.times, y=list(data.percent), mode="lines+markers", marker={"size": 5},
        line={"shape": "hv", "color": FRONT, "width": 2}, hovertext=list(data.hovers),
        hoverinfo="text", name="hypervolume", showlegend=False,
    )  # fmt: skip
    return figure


def draw_png(data: HypervolumeData) -> bytes:
    """The same."""
    figure = mpl_figure()
    plot = figure.add_subplot()
    plot.step(data.times, data.percent, where="post", c=FRONT, lw=1.8, zorder=3)
    plot.scatter(data.times, data.percent, s=12, c=FRONT, zorder=4)
    plot.set_ylim(0, 104)
    plot.set_xlim(left=0)
    dress(
        plot, title=f"{data.name}: {_TITLE.lower()}", x=f"time trained [{data.unit[1]}]",
        y="hypervolume [% of the last]", note=f"{data.axes.y} and log {data.axes.x}",
    )  # fmt: skip
    return png_of(figure)


PICTURE = Picture(
    title=_TITLE,
    caption=(
        "The area between the front so far and a corner a tenth of the range beyond the worst of "
        "all complete students (quality against the logarithm of the size), in percent of what it "
        "came to. A line that still "
        "rises at its end says that more trials may find better students. Pauses do not count."
    ),
    gather=gather,
    draw_figure=draw_figure,
    draw_png=draw_png,
)
