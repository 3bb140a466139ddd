"""Ways of teaching compared among students of like size, with their spread."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kdsweep.report.axes import LABELS, focus
from kdsweep.report.labels import strategy_label
from kdsweep.report.pictures.canvas import (
    QUIET,
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
from kdsweep.report.pictures.front import hover
from kdsweep.report.pictures.picture import Picture
from kdsweep.report.pictures.view import SweepView
from kdsweep.report.size_classes import SizeClass, size_classes
from kdsweep.results.noise import accuracy_interval

_CONTROLS = "controls, 95% interval"


@dataclass(frozen=True)
class Cell:
    """The students of one strategy in one class of sizes: the quality of each, and quartiles."""

    place: int
    """Of the class, the smallest is 0."""
    values: tuple[float, ...]
    hovers: tuple[str, ...]
    median: float
    lower: float
    upper: float


@dataclass(frozen=True)
class ControlMark:
    """A control that has replicates: its mean accuracy in percent, and where that lies at 95 %."""

    strategy: str
    place: int
    mean: float
    low: float
    high: float
    hover: str


@dataclass(frozen=True)
class StrategiesData:
    """Classes of sizes in words, for each strategy its cells, and the controls with replicates."""

    name: str
    size: str
    quality: str
    classes: tuple[str, ...]
    cells: dict[str, tuple[Cell, ...]]
    low: float
    high: float
    controls: tuple[ControlMark, ...] = ()

    @property
    def outside(self) -> str:
        """How many students are not to be seen."""
        values = (value for cells in self.cells.values() for cell in cells for value in cell.values)
        return outside_words(values, self.low, self.high, "student")


def gather(view: SweepView) -> StrategiesData | None:
    """Complete students by size and strategy; none before there are two of them."""
    axes = view.axes
    drawn = [result for result in view.complete if axes.point(result.metrics) is not None]
    if len(drawn) < 2:
        return None
    classes = size_classes(drawn, axes.x)
    cells: dict[str, list[Cell]] = {}
    for place, group in enumerate(classes):
        by_strategy: dict[str, list[tuple[float, str]]] = {}
        for result in group.results:
            point = axes.point(result.metrics)
            if point is not None:
                found = by_strategy.setdefault(strategy_label(result), [])
                found.append((point[1], hover(result)))
        for strategy, members in by_strategy.items():
            values = [value for value, _ in members]
            lower, median, upper = (float(q) for q in np.quantile(values, [0.25, 0.5, 0.75]))
            hovers = tuple(said for _, said in members)
            cell = Cell(place, tuple(values), hovers, median, lower, upper)
            cells.setdefault(strategy, []).append(cell)
    ordered = {name: tuple(cells[name]) for name in sorted(cells, key=lambda n: (n != "none", n))}
    controls = _controls(classes) if axes.y == "accuracy" else ()
    ends = [end for control in controls for end in (control.low, control.high)]
    every = [value for row in ordered.values() for cell in row for value in cell.values]
    wanted = [*_of_the_best(ordered, best_is_high=axes.y == "accuracy"), *ends]
    low, high = focus(wanted, [*every, *ends])
    return StrategiesData(
        name=view.meta.name, size=LABELS[axes.x], quality=LABELS[axes.y], low=low, high=high,
        classes=tuple(group.words for group in classes), cells=ordered, controls=controls,
    )  # fmt: skip


def _controls(classes: Sequence[SizeClass]) -> tuple[ControlMark, ...]:
    """Those of single seeds are among the students: of one training there is no spread."""
    found = []
    for place, group in enumerate(classes):
        for result in group.results:
            interval = accuracy_interval(result, None)
            if result.role == "control" and interval is not None:
                low, high = (100 * end for end in interval)
                said = f"{hover(result)}<br>control: 95% interval {low:.2f} to {high:.2f}"
                found.append(ControlMark(
                    strategy_label(result), place, 100 * result.metrics["accuracy"], low, high, said
                ))  # fmt: skip
    return tuple(found)


def _of_the_best(cells: dict[str, tuple[Cell, ...]], *, best_is_high: bool) -> list[float]:
    """The better half of the medians of each class: others may lie at chance level."""
    by_class: dict[int, list[float]] = {}
    for row in cells.values():
        for cell in row:
            by_class.setdefault(cell.place, []).append(cell.median)
    halves = (sorted(medians, reverse=best_is_high) for medians in by_class.values())
    return [median for medians in halves for median in medians[: (len(medians) + 1) // 2]]


def _beside(data: StrategiesData, control: ControlMark) -> float:
    """A control stands to the right of its strategy's students."""
    at = list(data.cells).index(control.strategy)
    return _place(data, at, control) + 0.24 / len(data.cells)


def _place(data: StrategiesData, strategy: int, cell: Cell | ControlMark) -> float:
    """Strategies of a class stand side by side."""
    return cell.place - 0.36 + 0.72 * (strategy + 0.5) / len(data.cells)


def draw_figure(data: StrategiesData) -> Any:
    """Small marks are students, large ones their median, bars reach from quartile to quartile."""
    figure = plotly_figure(
        xaxis={"title": {"text": data.size}, "tickvals": list(range(len(data.classes))),
               "ticktext": list(data.classes), "range": [-0.5, len(data.classes) - 0.5]},
        yaxis={"title": {"text": data.quality}, "range": [data.low, data.high]},
        hovermode="closest",
    )  # fmt: skip
    for at, (strategy, cells) in enumerate(data.cells.items()):
        colour, shared = SERIES[at % len(SERIES)], {"legendgroup": strategy, "hoverinfo": "text"}
        figure.add_scatter(
            x=[_place(data, at, cell) for cell in cells for _ in cell.values],
            y=[value for cell in cells for value in cell.values],
            hovertext=[said for cell in cells for said in cell.hovers], mode="markers",
            marker={"size": 5, "color": colour, "opacity": 0.45}, showlegend=False, **shared,
        )  # fmt: skip
        figure.add_scatter(
            x=[_place(data, at, cell) for cell in cells], y=[cell.median for cell in cells],
            error_y={"array": [cell.upper - cell.median for cell in cells],
                     "arrayminus": [cell.median - cell.lower for cell in cells], "width": 3},
            hovertext=[_median_words(strategy, cell) for cell in cells], name=words(strategy),
            mode="markers", marker={"size": 11, "color": colour, "symbol": "line-ew-open",
                                    "line": {"width": 3}}, **shared,
        )  # fmt: skip
    if data.controls:
        figure.add_scatter(
            x=[_beside(data, each) for each in data.controls],
            y=[each.mean for each in data.controls],
            error_y={"array": [each.high - each.mean for each in data.controls],
                     "arrayminus": [each.mean - each.low for each in data.controls], "width": 3},
            hovertext=[each.hover for each in data.controls], hoverinfo="text", mode="markers",
            name=_CONTROLS, marker={"size": 9, "color": QUIET, "symbol": "diamond-open",
                                    "line": {"width": 2}},
        )  # fmt: skip
    note_above(figure, data.outside)
    return figure


def _median_words(strategy: str, cell: Cell) -> str:
    students = f"{len(cell.values)} student{'s' * (len(cell.values) != 1)}"
    best = f"median {cell.median:.4g}, best {max(cell.values):.4g}"
    quartiles = f"quartiles {cell.lower:.4g} to {cell.upper:.4g}"
    return f"<b>{words(strategy)}</b>: {students}<br>{best}<br>{quartiles}"


def draw_png(data: StrategiesData) -> bytes:
    """The same."""
    figure = mpl_figure(width=9)
    plot = figure.add_subplot()
    for at, (strategy, cells) in enumerate(data.cells.items()):
        colour = SERIES[at % len(SERIES)]
        places = [_place(data, at, cell) for cell in cells]
        for place, cell in zip(places, cells, strict=True):
            plot.scatter([place] * len(cell.values), cell.values, s=9, c=colour, alpha=0.4, lw=0,
                         zorder=3)  # fmt: skip
        medians = [cell.median for cell in cells]
        below = [cell.median - cell.lower for cell in cells]
        above = [cell.upper - cell.median for cell in cells]
        plot.errorbar(places, medians, yerr=(below, above), fmt="_", ms=9, mew=2, c=colour,
                      lw=1.2, label=label(strategy), zorder=4)  # fmt: skip
    if data.controls:
        means = [each.mean for each in data.controls]
        ends = [[each.mean - each.low for each in data.controls],
                [each.high - each.mean for each in data.controls]]  # fmt: skip
        plot.errorbar([_beside(data, each) for each in data.controls], means, yerr=ends, fmt="D",
                      ms=6, mfc="none", c=QUIET, lw=1.2, label=_CONTROLS, zorder=5)  # fmt: skip
    plot.set_xticks(range(len(data.classes)), data.classes)
    plot.set_xlim(-0.5, len(data.classes) - 0.5)
    plot.set_ylim(data.low, data.high)
    dress(plot, title=f"{data.name}: strategies by size", x=data.size, y=data.quality,
          note="; ".join(filter(None, ["median and quartiles; dots are students", data.outside])),
          )  # fmt: skip
    legend_below(figure, plot)
    return png_of(figure)


PICTURE = Picture(
    title="Strategies by size",
    caption=(
        "Among students of like size: each dot is a student, the dash its strategy's median, the "
        "bar reaches from the lower to the upper quartile. The search gives more trials to what "
        "does well, so that the groups differ in number and in their other settings. A diamond "
        "is a control with replicates and the 95% interval of its mean: two controls whose bars "
        "lie apart differ by more than the luck of seeds."
    ),
    gather=gather,
    draw_figure=draw_figure,
    draw_png=draw_png,
)
