"""Every complete student as a line over its settings, coloured by how good it came to be."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kdsweep.report.axes import LABELS
from kdsweep.report.labels import strategy_label
from kdsweep.report.pictures.canvas import (
    broken,
    dress,
    label,
    mpl_figure,
    plotly_figure,
    png_of,
    shorten_path,
    words,
)
from kdsweep.report.pictures.front import hover
from kdsweep.report.pictures.picture import Picture
from kdsweep.report.pictures.scales import (
    Coordinate,
    Scale,
    coordinate,
    scale_in,
    scale_of_most,
)
from kdsweep.report.pictures.view import SweepView
from kdsweep.report.varied import Varied, varied, with_owners

MOST_AXES = 10
_MOST_LINES, _LONGEST = 250, 28
"""Of more students only the best and the last are shown at first: there is nothing else to see."""
_MOST_IN_A_LINE, _IN_A_STEP = 14, 8
"""Characters of a tick, and how many of them stand between two axes that are one step apart."""
_LEFT, _RIGHT, _STEP = 0.5, 0.6, 62
"""Steps beside the axes, and the pixels of one that can be read."""
_LEAST_OF_FIFTHS = 10
"""Of fewer students it is said which half of them are better."""
GROUPS = (
    ("best fifth", "#0b5fa5"), ("second fifth", "#4f93c9"), ("middle fifth", "#9aa5b1"),
    ("fourth fifth", "#e0a458"), ("last fifth", "#c05621"),
)  # fmt: skip
ALIKE = (("all are alike", "#4f93c9"),)
HALVES = (("better half", "#0b5fa5"), ("other half", "#c05621"))


@dataclass(frozen=True)
class CoordinatesData:
    """Axes from left to right, quality last; ``groups`` says for each student how good it is."""

    name: str
    coordinates: tuple[Coordinate, ...]
    groups: tuple[int, ...]
    legend: tuple[tuple[str, str], ...]
    """The name and the colour of each group, the best first."""
    hovers: tuple[str, ...]
    left_out: int

    @property
    def xs(self) -> tuple[float, ...]:
        """Where the axes stand, in steps: one apart, and farther where names need the room."""
        found = [0.0]
        for each in self.coordinates[:-1]:
            widest = max(len(line) for _, text in each.marks for line in _lines_of(text))
            found.append(found[-1] + max(1.0, widest / _IN_A_STEP))
        return tuple(found)

    @property
    def note(self) -> str:
        """What is not in the picture; empty where all is."""
        num = self.left_out
        return f"{num} setting{'s are' if num > 1 else ' is'} left out" if num else ""

    @property
    def hidden(self) -> range:
        """The groups that are not shown at first: where lines are many, those in the middle."""
        return range(1, len(self.legend) - 1) if len(self.groups) > _MOST_LINES else range(0)


def gather(view: SweepView) -> CoordinatesData | None:
    """All complete students; none before there are two of them or where no setting varied."""
    axes = view.axes
    results = [result for result in view.complete if axes.point(result.metrics) is not None]
    if len(results) < 2:
        return None
    points = [axes.point(result.metrics) or (1.0, 0.0) for result in results]
    settings = with_owners(varied(results), results)
    # A setting of few students says little; the order of the file stays.
    having = sorted(settings, key=lambda s: sum(value is None for value in s.values))
    kept = having[: MOST_AXES - 3]
    sizes, heights = [point[0] for point in points], [point[1] for point in points]
    found = [
        coordinate(LABELS[axes.x], sizes, scale=Scale(min(sizes), max(sizes), logarithmic=True)),
        coordinate("strategy", [strategy_label(result) for result in results]),
        *(_axis(each, view) for each in settings if each in kept),
        coordinate(LABELS[axes.y], heights, scale=scale_of_most(heights, _on_front(view))),
    ]
    found = [each for each in found if len(set(each.places)) > 1]
    if len(found) < 2:
        return None
    maximised = view.meta.objectives.get(axes.y, "max" if axes.y == "accuracy" else "min") == "max"
    quality = [point[1] if maximised else -point[1] for point in points]
    legend: tuple[tuple[str, str], ...] = GROUPS if len(results) >= _LEAST_OF_FIFTHS else HALVES
    legend = legend if len(set(quality)) > 1 else ALIKE
    return CoordinatesData(
        name=view.meta.name, coordinates=tuple(found), groups=ranked(quality, len(legend)),
        legend=legend, hovers=tuple(hover(result) for result in results),
        left_out=len(settings) - len(kept),
    )  # fmt: skip


def _axis(setting: Varied, view: SweepView) -> Coordinate:
    scale, in_order = scale_in(view.space, setting.path, setting.values)
    name = shorten_path(setting.header, _LONGEST)
    return coordinate(name, setting.values, scale=scale, in_order=in_order)


def _on_front(view: SweepView) -> list[float]:
    points = [view.axes.point(result.metrics) for result in view.front]
    return [point[1] for point in points if point is not None]


def ranked(quality: Sequence[float], num: int) -> tuple[int, ...]:
    """For each value, higher is better, in which of ``num`` equal parts it is: 0 is the best.

    Equal values are in the same part, the best that one of them is in.
    """
    ordered = -np.sort(-np.asarray(quality, dtype=np.float64))
    ranks = np.searchsorted(-ordered, -np.asarray(quality, dtype=np.float64), side="left")
    return tuple(num * int(rank) // len(quality) for rank in ranks)


def _lines(data: CoordinatesData, group: int) -> list[tuple[list[float], str]]:
    return [
        ([each.places[number] for each in data.coordinates], data.hovers[number])
        for number, found in enumerate(data.groups) if found == group
    ]  # fmt: skip


def draw_figure(data: CoordinatesData) -> Any:
    """A click on the legend hides a group; plain lines, so that no graphics card is needed."""
    names, at_x = [each.name for each in data.coordinates], data.xs
    figure = plotly_figure(
        xaxis={"tickvals": list(at_x), "ticktext": [words(name) for name in names],
               "range": [-_LEFT, at_x[-1] + _RIGHT], "showgrid": False, "side": "top",
               "tickangle": -30},
        yaxis={"visible": False, "range": [-0.22, 1.1]}, hovermode="closest", height=520,
        showlegend=True,
        margin={"l": 20, "r": 110, "t": 90, "b": 40},
        meta={"least_width": round(130 + _STEP * (at_x[-1] + _LEFT + _RIGHT))},
    )  # fmt: skip
    for group in reversed(range(len(data.legend))):
        xs, ys, hovers = list[Any](), list[Any](), list[str]()
        for places, said in _lines(data, group):
            xs += [*at_x, None]
            ys += [*places, None]
            hovers += [said] * len(at_x) + [""]
        if xs:
            name, colour = data.legend[group]
            figure.add_scatter(
                x=xs, y=ys, mode="lines+markers", hovertext=hovers, hoverinfo="text", name=name,
                line={"color": colour, "width": _width(data)}, marker={"size": 3}, opacity=0.75,
                legendrank=group, visible="legendonly" if group in data.hidden else True,
            )  # fmt: skip
    for at, each in zip(at_x, data.coordinates, strict=True):
        figure.add_shape(
            type="line", x0=at, x1=at, y0=0, y1=1, line={"color": "#64748b", "width": 1}
        )
        for place, text in each.marks:
            figure.add_annotation(
                x=at, y=place, text="<br>".join(map(words, _lines_of(text))), align="left",
                showarrow=False, xanchor="left", xshift=4, font={"size": 11},
                bgcolor="rgba(128,128,128,0.15)",
            )  # fmt: skip
    if data.note:
        figure.add_annotation(
            text=data.note, xref="paper", yref="paper", x=1, y=0, xanchor="right", yanchor="top",
            showarrow=False, font={"size": 11}, opacity=0.75,
        )  # fmt: skip
    return figure


def _lines_of(tick: str) -> tuple[str, ...]:
    return broken(tick, _MOST_IN_A_LINE)


def _width(data: CoordinatesData) -> float:
    return min(1.6, max(0.4, 100 / len(data.groups)))


def _opacity(data: CoordinatesData) -> float:
    return min(0.85, max(0.2, 40 / len(data.groups)))


def _png_note(data: CoordinatesData) -> str:
    hidden = "those in the middle are not shown" if data.hidden else ""
    return ", ".join(each for each in (hidden, data.note) if each)


def draw_png(data: CoordinatesData) -> bytes:
    """The same."""
    at_x = data.xs
    figure = mpl_figure(width=max(8, 1.1 * (at_x[-1] + 1)), height=5.5, dpi=110)
    plot = figure.add_subplot()
    for group in reversed(range(len(data.legend))):
        for places, _ in _lines(data, group) if group not in data.hidden else ():
            plot.plot(at_x, places, c=data.legend[group][1], lw=1.1,
                      alpha=_opacity(data), zorder=6 - group)  # fmt: skip
    for at, each in zip(at_x, data.coordinates, strict=True):
        plot.plot([at, at], [0, 1], c="#334155", lw=1, zorder=7)
        for place, text in each.marks:
            box = {"fc": "white", "ec": "none", "alpha": 0.75, "pad": 0.8}
            said = "\n".join(map(label, _lines_of(text)))
            plot.annotate(said, (at, place), xytext=(4, 0), textcoords="offset points",
                          fontsize=7.5, va="center", zorder=8, bbox=box)  # fmt: skip
    dress(plot, title=f"{data.name}: settings and quality", x="", y="", note=_png_note(data))
    plot.set_xticks(at_x, [label(each.name) for each in data.coordinates],
                    fontsize=8, rotation=12)  # fmt: skip
    plot.set_xlim(-0.1, at_x[-1] + _RIGHT)
    plot.set_yticks([])
    plot.spines[["left", "bottom"]].set_visible(False)
    plot.grid(False)
    shown = [each for group, each in enumerate(data.legend) if group not in data.hidden]
    # With the colours as they are, however faint the lines.
    handles = [plot.plot([], [], c=colour, lw=1.6, label=name)[0] for name, colour in shown]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    return png_of(figure)


PICTURE = Picture(
    title="Settings and quality",
    caption=(
        "Each line is a complete student. An axis has the bounds of the search, and is logarithmic "
        "where the search draws by the logarithm; an arrow at its end marks values beyond. A line "
        "below an axis, at 'without', belongs to a student that has no such setting, as one of "
        "another strategy. Where they are many, those in the middle are hidden at first. "
        "A click on the legend hides or shows a group, a double click shows it alone."
    ),
    gather=gather,
    draw_figure=draw_figure,
    draw_png=draw_png,
)
