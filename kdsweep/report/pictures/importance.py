"""Which settings decide whether a student is among the best, for each objective."""

import textwrap
from dataclasses import dataclass
from typing import Any

from kdsweep.report.importance import LEAST_STUDENTS, SettingShare, setting_labels, summary_words
from kdsweep.report.pictures.canvas import (
    PALE,
    QUIET,
    dress,
    label,
    legend_below,
    mpl_figure,
    plotly_figure,
    png_of,
    shorten_path,
    words,
)
from kdsweep.report.pictures.picture import Picture
from kdsweep.report.pictures.view import SweepView

MOST_SETTINGS = 30
"""Of each objective; those that matter least are left out."""
_TOLD, _BAND = "#0b5fa5", "#888888"
_CHANCE = "what shuffled outcomes reach in 1 of 20"
_ABOVE, _WITHIN = "told from chance", "not told from chance"
_LINE, _LONGEST = 70, 36
"""Characters of a sentence above the bars and of a setting; as many as fit into the PNG."""


@dataclass(frozen=True)
class Bar:
    """A setting at its place from above; in percent, ``chance`` to the edge of the picture."""

    place: float
    label: str
    found: SettingShare
    chance: float
    beyond: str
    """How far ``chance`` reaches where that is beyond the edge."""

    @property
    def share(self) -> float:
        """In percent; zero where none is known."""
        return 100 * (self.found.share or 0.0)

    @property
    def remark(self) -> str:
        """Why there is no share; empty where there is."""
        if self.found.share is not None:
            return ""
        num = self.found.students
        return f"too few to tell: {num} of the {LEAST_STUDENTS} students that it takes"

    @property
    def hover(self) -> str:
        """All that is known of it."""
        if self.remark:
            return f"{self.found.setting}: {self.remark}"
        return (
            f"{self.found.setting}: {self.share:.1f}%, by chance up to "
            f"{100 * (self.found.chance or 0.0):.1f}%, {self.found.students} students"
        )


@dataclass(frozen=True)
class ImportanceData:
    """A sentence for each objective at its place, and below it a bar for each setting."""

    name: str
    sentences: tuple[tuple[float, str], ...]
    bars: tuple[Bar, ...]
    edge: float
    """Where the axis ends, in percent."""
    depth: float
    """The place below the last bar."""
    left_out: int


def gather(view: SweepView) -> ImportanceData | None:
    """All settings for each objective, or why there are none; none where nothing was computed."""
    if not view.importance:
        return None
    kept = {name: found.settings[:MOST_SETTINGS] for name, found in view.importance.items()}
    each = [setting for settings in kept.values() for setting in settings]
    widest = [max((s.share or 0.0), min(1.0, s.chance or 0.0)) for s in each]
    edge = 105 * max(widest, default=1.0)
    place, sentences, bars = 0.0, list[tuple[float, str]](), list[Bar]()
    for objective, found in view.importance.items():
        said = "\n".join(textwrap.wrap(summary_words(objective, found), _LINE))
        sentences.append((place, said))
        place += 1 + 0.6 * said.count("\n")
        labels = setting_labels([setting.setting for setting in found.settings])
        for setting in kept[objective]:
            chance = 100 * (setting.chance or 0.0)
            beyond = f"{chance:.0f}%" if chance > edge else ""
            name = shorten_path(labels[setting.setting], _LONGEST)
            bars.append(Bar(place, name, setting, min(chance, edge), beyond))
            place += 1
        place += 0.4
    left_out = sum(len(found.settings) for found in view.importance.values()) - len(each)
    return ImportanceData(view.meta.name, tuple(sentences), tuple(bars), edge, place, left_out)


def _groups(data: ImportanceData) -> tuple[tuple[str, str, list[Bar]], ...]:
    """The bars in full colour and the pale ones, with their names and colours."""
    known = [bar for bar in data.bars if not bar.remark]
    above = [bar for bar in known if bar.found.above_chance]
    within = [bar for bar in known if not bar.found.above_chance]
    return ((_ABOVE, _TOLD, above), (_WITHIN, PALE, within))


def draw_figure(data: ImportanceData) -> Any:
    """Bars upon the band of chance; the full names and numbers are shown when pointed at."""
    figure = plotly_figure(
        xaxis={"title": {"text": "share of the importance [%]" if data.bars else ""},
               "range": [0, data.edge], "visible": bool(data.bars)},
        yaxis={"ticks": "outside", "ticklen": 4, "tickcolor": "rgba(0,0,0,0)",
               "tickvals": [bar.place for bar in data.bars], "showgrid": False,
               "ticktext": [words(bar.label) for bar in data.bars],
               "range": [data.depth - 0.4, -0.7], "visible": bool(data.bars)},
        barmode="overlay", height=150 + 24 * data.depth, hovermode="closest",
        meta={"least_width": 672},
    )  # fmt: skip
    known = [bar for bar in data.bars if not bar.remark]
    if known:
        figure.add_bar(
            y=[bar.place for bar in known], x=[bar.chance for bar in known], width=0.86,
            orientation="h", name=_CHANCE, marker={"color": _BAND}, opacity=0.3,
            hovertext=[words(bar.hover) for bar in known], hoverinfo="text",
        )  # fmt: skip
    for name, colour, bars in _groups(data):
        if bars:
            figure.add_bar(
                y=[bar.place for bar in bars], x=[bar.share for bar in bars], width=0.5,
                orientation="h", name=name, marker={"color": colour},
                hovertext=[words(bar.hover) for bar in bars], hoverinfo="text",
            )  # fmt: skip
    for bar in data.bars:
        # A thin line ends the band, so that it is seen below a bar that is longer.
        if not bar.remark and not bar.beyond:
            figure.add_shape(
                type="line", x0=bar.chance, x1=bar.chance, y0=bar.place - 0.43,
                y1=bar.place + 0.43, line={"color": QUIET, "width": 1.5},
            )  # fmt: skip
        if text := bar.remark or (f"to {bar.beyond} \N{RIGHTWARDS ARROW}" if bar.beyond else ""):
            figure.add_annotation(
                x=0 if bar.remark else data.edge, y=bar.place, text=words(text), showarrow=False,
                xanchor="left" if bar.remark else "right", font={"size": 11}, opacity=0.75,
            )  # fmt: skip
    for place, said in data.sentences:
        figure.add_annotation(
            x=0, y=place - 0.4, xref="paper", text=words(said).replace("\n", "<br>"),
            showarrow=False, xanchor="left", yanchor="top", align="left", font={"size": 13},
        )  # fmt: skip
    return figure


def draw_png(data: ImportanceData) -> bytes:
    """The same."""
    figure = mpl_figure(height=1.4 + 0.24 * data.depth)
    plot = figure.add_subplot()
    known = [bar for bar in data.bars if not bar.remark]
    plot.barh([bar.place for bar in known], [bar.chance for bar in known], height=0.86,
              color=_BAND, alpha=0.25, label=_CHANCE if known else None, zorder=2)  # fmt: skip
    for name, colour, bars in _groups(data):
        plot.barh([bar.place for bar in bars], [bar.share for bar in bars], height=0.5,
                  color=colour, label=name if bars else None, zorder=3)  # fmt: skip
    for bar in data.bars:
        if not bar.remark and not bar.beyond:
            ends = [bar.place - 0.43, bar.place + 0.43]
            plot.plot([bar.chance] * 2, ends, c=QUIET, lw=1.5, zorder=4)
        if bar.remark:
            plot.text(0, bar.place, f" {bar.remark}", fontsize=8, color=QUIET, va="center")
        elif bar.beyond:
            plot.text(data.edge, bar.place, f"to {bar.beyond} \N{RIGHTWARDS ARROW}", fontsize=8,
                      color=QUIET, va="center", ha="right", zorder=5)  # fmt: skip
    for place, said in data.sentences:
        plot.text(0, place - 0.4, label(said), fontsize=9, va="top")
    less = f"{data.left_out} others matter less" if data.left_out else ""
    about = "share of the importance [%]" if data.bars else ""
    dress(plot, title=f"{data.name}: what mattered", x=about, y="", note=less)
    plot.set_xlim(0, data.edge)
    plot.set_ylim(data.depth - 0.4, -0.7)
    plot.set_yticks(
        [bar.place for bar in data.bars], [label(bar.label) for bar in data.bars], fontsize=9
    )
    plot.grid(visible=False, axis="y")
    if not data.bars:
        plot.set_axis_off()
    legend_below(figure, plot)
    return png_of(figure)


PICTURE = Picture(
    title="What mattered",
    caption=(
        "How much each setting decides whether a student is among the best in an objective "
        "(PED-ANOVA, arXiv:2304.10255), in the trials of this sweep. The grey band is what the "
        "setting comes to where the outcomes of the students are shuffled, in one of twenty "
        "shuffles: a bar that ends within it, which is pale, may be chance. It says nothing of the "
        "direction. Sizes are left out: they follow from the settings."
    ),
    gather=gather,
    draw_figure=draw_figure,
    draw_png=draw_png,
)
