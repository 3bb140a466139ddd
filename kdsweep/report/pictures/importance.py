"""Which settings decide whether a student is among the best, for each objective."""

from dataclasses import dataclass
from typing import Any

from kdsweep.report.pictures.canvas import (
    SERIES,
    dress,
    label,
    legend_below,
    mpl_figure,
    plotly_figure,
    png_of,
    words,
)
from kdsweep.report.pictures.picture import Picture
from kdsweep.report.pictures.view import SweepView

MOST_SETTINGS = 12


@dataclass(frozen=True)
class ImportanceData:
    """The shares of the settings, ``{objective: one for each setting}``; the greatest first."""

    name: str
    settings: tuple[str, ...]
    shares: dict[str, tuple[float, ...]]
    left_out: int
    """Settings that matter less than those that are shown."""


def gather(view: SweepView) -> ImportanceData | None:
    """The settings that matter most for any objective; none where too little is known."""
    known = (view.importance or {}).items()
    shares = {name: found for name, found in known if any(found.values())}
    if not shares:
        return None
    most: dict[str, float] = {}
    for found in shares.values():
        for setting, share in found.items():
            if share > 0:
                most[setting] = max(share, most.get(setting, 0.0))
    first = next(iter(shares.values()))
    order = sorted(most, key=lambda setting: (-first.get(setting, 0.0), -most[setting], setting))
    kept = sorted(order, key=lambda setting: -most[setting])[:MOST_SETTINGS]
    shown = tuple(setting for setting in order if setting in kept)
    return ImportanceData(
        name=view.meta.name, settings=shown, left_out=len(order) - len(shown),
        shares={name: tuple(found.get(s, 0.0) for s in shown) for name, found in shares.items()},
    )  # fmt: skip


def draw_figure(data: ImportanceData) -> Any:
    """A bar for each setting and objective."""
    figure = plotly_figure(
        xaxis={"title": {"text": "share of the importance [%]"}, "rangemode": "tozero"},
        yaxis={"autorange": "reversed", "type": "category"},
        barmode="group", height=160 + 22 * len(data.settings) * max(1, len(data.shares)),
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )  # fmt: skip
    names = [words(setting) for setting in data.settings]
    for (objective, shares), colour in zip(data.shares.items(), SERIES, strict=False):
        figure.add_bar(
            y=names, x=[100 * share for share in shares], orientation="h", name=objective,
            marker={"color": colour},
            hovertemplate="%{y}: %{x:.1f}%<extra>" + objective + "</extra>",
        )  # fmt: skip
    return figure


def draw_png(data: ImportanceData) -> bytes:
    """The same."""
    figure = mpl_figure(height=1.8 + 0.2 * len(data.settings) * (1 + len(data.shares)))
    plot = figure.add_subplot()
    thick = 0.7 / len(data.shares)
    for at, (objective, shares) in enumerate(data.shares.items()):
        places = [place - 0.35 + thick * (at + 0.5) for place in range(len(data.settings))]
        plot.barh(places, [100 * share for share in shares], height=0.9 * thick,
                  color=SERIES[at % len(SERIES)], label=objective, zorder=3)  # fmt: skip
    plot.set_ylim(-0.8, len(data.settings) - 0.2)
    plot.set_yticks(range(len(data.settings)), [label(setting) for setting in data.settings])
    plot.invert_yaxis()
    less = f"{data.left_out} others matter less" if data.left_out else ""
    dress(
        plot, title=f"{data.name}: what mattered", x="share of the importance [%]", y="", note=less
    )
    legend_below(figure, plot)
    return png_of(figure)


PICTURE = Picture(
    title="What mattered",
    caption=(
        "How much each setting decides whether a student is among the best in one objective "
        "(PED-ANOVA, arXiv:2304.10255), in the trials of this sweep. Settings that do no more than "
        "in shuffled data are left out. It says nothing of the direction."
    ),
    gather=gather,
    draw_figure=draw_figure,
    draw_png=draw_png,
)
