"""Every complete student as a line over its settings, coloured by how good it came to be."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kdsweep.report.axes import LABELS, short
from kdsweep.report.labels import strategy_label
from kdsweep.report.pictures.canvas import (
    dress,
    label,
    mpl_figure,
    plotly_figure,
    png_of,
    shorten,
    words,
)
from kdsweep.report.pictures.front import hover
from kdsweep.report.pictures.picture import Picture
from kdsweep.report.pictures.view import SweepView
from kdsweep.report.varied import varied

MOST_AXES = 10
_MOST_TICKS, _LONGEST_TICK = 8, 22
_ABSENT = -0.12
"""Where a line passes an axis of a setting that the student has not."""
_DASH = "\N{EN DASH}"
GROUPS = (
    ("best fifth", "#0b5fa5"), ("second fifth", "#4f93c9"), ("middle fifth", "#9aa5b1"),
    ("fourth fifth", "#e0a458"), ("last fifth", "#c05621"),
)  # fmt: skip


@dataclass(frozen=True)
class Coordinate:
    """One axis: its name, its ticks from 0 to 1, and where each student lies on it."""

    name: str
    ticks: tuple[tuple[float, str], ...]
    places: tuple[float, ...]
    """``_ABSENT`` where a student has no such setting."""

    @property
    def marks(self) -> tuple[tuple[float, str], ...]:
        """The ticks, and a dash where some students have no such setting."""
        return (*self.ticks, (_ABSENT, _DASH)) if _ABSENT in self.places else self.ticks


@dataclass(frozen=True)
class CoordinatesData:
    """Axes from left to right, quality last; ``fifths`` says for each student how good it is."""

    name: str
    coordinates: tuple[Coordinate, ...]
    fifths: tuple[int, ...]
    hovers: tuple[str, ...]
    left_out: int


def gather(view: SweepView) -> CoordinatesData | None:
    """All complete students; none before there are two of them or where no setting varied."""
    axes = view.axes
    results = [result for result in view.complete if axes.point(result.metrics) is not None]
    if len(results) < 2:
        return None
    points = [axes.point(result.metrics) or (1.0, 0.0) for result in results]
    columns: list[tuple[str, Sequence[Any]]] = [
        (LABELS[axes.x], [point[0] for point in points]),
        ("strategy", [strategy_label(result) for result in results]),
    ]
    settings = varied(results)
    # A setting of few students says little; the order of the file stays.
    having = sorted(settings, key=lambda s: sum(value is None for value in s.values))
    kept = having[: MOST_AXES - len(columns) - 1]
    columns += [(each.header, each.values) for each in settings if each in kept]
    columns.append((LABELS[axes.y], [point[1] for point in points]))
    found = [coordinate(name, values) for name, values in columns if len(set(map(str, values))) > 1]
    if len(found) < 2:
        return None
    maximised = view.meta.objectives.get(axes.y, "max" if axes.y == "accuracy" else "min") == "max"
    quality = [point[1] if maximised else -point[1] for point in points]
    return CoordinatesData(
        name=view.meta.name, coordinates=tuple(found), fifths=fifths(quality),
        hovers=tuple(hover(result) for result in results), left_out=len(settings) - len(kept),
    )  # fmt: skip


def coordinate(name: str, values: Sequence[Any]) -> Coordinate:
    """An axis for what students have of a setting: numbers to scale, all else in order.

    Positive numbers that span more than a factor of 20 lie on a logarithmic scale.
    """
    there = [value for value in values if value is not None]
    if all(_is_number(value) for value in there):
        low, high = min(there), max(there)
        logarithmic = low > 0 and high > 20 * low
        scale = math.log if logarithmic else float
        span = (scale(high) - scale(low)) or 1.0
        places = [_ABSENT if v is None else (scale(v) - scale(low)) / span for v in values]
        distinct = sorted(set(there))
        shown = distinct if len(distinct) <= 5 else _between(low, high, logarithmic)
        ticks = _apart([((scale(v) - scale(low)) / span, _number(v)) for v in shown])
    else:
        names = sorted({str(value) for value in there})
        step = 1 / max(1, len(names) - 1)
        at = {each: number * step for number, each in enumerate(names)}
        places = [_ABSENT if value is None else at[str(value)] for value in values]
        every = max(1, math.ceil(len(names) / _MOST_TICKS))
        ticks = [(at[each], shorten(each, _LONGEST_TICK)) for each in names[::every]]
    return Coordinate(name, tuple(ticks), tuple(places))


def _is_number(value: Any) -> bool:
    finite = isinstance(value, int | float) and math.isfinite(value)
    return finite and not isinstance(value, bool)


def _between(low: float, high: float, logarithmic: bool) -> list[float]:
    steps = [0.0, 0.25, 0.5, 0.75, 1.0]
    if logarithmic:
        return [low * (high / low) ** step for step in steps]
    return [low + (high - low) * step for step in steps]


def _apart(ticks: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Those that can be written above one another."""
    kept = ticks[:1]
    for tick in ticks[1:]:
        if tick[0] - kept[-1][0] >= 0.06:
            kept.append(tick)
    return kept


def _number(value: float) -> str:
    return short(value) if abs(value) >= 1000 else f"{value:.3g}"


def fifths(quality: Sequence[float]) -> tuple[int, ...]:
    """For each value, higher is better, in which fifth of all it is: 0 is the best."""
    order = np.argsort(-np.asarray(quality, dtype=np.float64), kind="stable")
    found = [0] * len(quality)
    for rank, index in enumerate(order):
        found[int(index)] = 5 * rank // len(quality)
    return tuple(found)


def _lines(data: CoordinatesData, fifth: int) -> list[tuple[list[float], str]]:
    return [
        ([each.places[number] for each in data.coordinates], data.hovers[number])
        for number, found in enumerate(data.fifths) if found == fifth
    ]  # fmt: skip


def draw_figure(data: CoordinatesData) -> Any:
    """A click on the legend hides a fifth; plain lines, so that no graphics card is needed."""
    names, last = [each.name for each in data.coordinates], len(data.coordinates) - 1
    figure = plotly_figure(
        xaxis={"tickvals": list(range(last + 1)), "ticktext": [words(name) for name in names],
               "range": [-0.5, last + 0.6], "showgrid": False, "side": "top",
               "tickangle": -30},
        yaxis={"visible": False, "range": [-0.2, 1.05]}, hovermode="closest", height=520,
        margin={"l": 20, "r": 110, "t": 90, "b": 40},
    )  # fmt: skip
    for fifth in reversed(range(len(GROUPS))):
        xs, ys, hovers = list[Any](), list[Any](), list[str]()
        for places, said in _lines(data, fifth):
            xs += [*range(last + 1), None]
            ys += [*places, None]
            hovers += [said] * (last + 1) + [""]
        if xs:
            name, colour = GROUPS[fifth]
            figure.add_scatter(
                x=xs, y=ys, mode="lines+markers", hovertext=hovers, hoverinfo="text", name=name,
                line={"color": colour, "width": 1.6}, marker={"size": 4}, opacity=_opacity(data),
                legendrank=fifth,
            )  # fmt: skip
    for at, each in enumerate(data.coordinates):
        figure.add_shape(
            type="line", x0=at, x1=at, y0=0, y1=1, line={"color": "#64748b", "width": 1}
        )
        for place, text in each.marks:
            figure.add_annotation(
                x=at, y=place, text=words(text), showarrow=False, xanchor="left", xshift=4,
                font={"size": 11}, bgcolor="rgba(128,128,128,0.15)",
            )  # fmt: skip
    return figure


def _opacity(data: CoordinatesData) -> float:
    return min(0.85, max(0.12, 40 / len(data.fifths)))


def draw_png(data: CoordinatesData) -> bytes:
    """The same."""
    last = len(data.coordinates) - 1
    figure = mpl_figure(width=max(8, 1.1 * (last + 1)), height=5.5, dpi=110)
    plot = figure.add_subplot()
    for fifth in reversed(range(len(GROUPS))):
        name, colour = GROUPS[fifth]
        for number, (places, _) in enumerate(_lines(data, fifth)):
            plot.plot(range(last + 1), places, c=colour, lw=1.1, alpha=_opacity(data),
                      label=None if number else name, zorder=6 - fifth)  # fmt: skip
    for at, each in enumerate(data.coordinates):
        plot.plot([at, at], [0, 1], c="#334155", lw=1, zorder=7)
        for place, text in each.marks:
            box = {"fc": "white", "ec": "none", "alpha": 0.75, "pad": 0.8}
            plot.annotate(label(text), (at, place), xytext=(4, 0), textcoords="offset points",
                          fontsize=7.5, va="center", zorder=8, bbox=box)  # fmt: skip
    less = f"{data.left_out} settings are left out" if data.left_out else ""
    dress(plot, title=f"{data.name}: settings and quality", x="", y="", note=less)
    plot.set_xticks(range(last + 1), [label(each.name) for each in data.coordinates],
                    fontsize=8, rotation=12)  # fmt: skip
    plot.set_xlim(-0.1, last + 0.6)
    plot.set_yticks([])
    plot.spines[["left", "bottom"]].set_visible(False)
    plot.grid(False)
    handles, names = plot.get_legend_handles_labels()
    figure.legend(handles[::-1], names[::-1], loc="outside lower center", ncols=5, frameon=False,
                  fontsize=9)  # fmt: skip
    return png_of(figure)


PICTURE = Picture(
    title="Settings and quality",
    caption=(
        "Each line is a complete student. A line at the dash below an axis belongs to a student "
        "without that setting, as one of another strategy. A click on the legend hides a fifth, "
        "a double click shows it alone."
    ),
    gather=gather,
    draw_figure=draw_figure,
    draw_png=draw_png,
)
