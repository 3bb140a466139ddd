"""The look that all pictures share, in Plotly and in Matplotlib, and text that is safe in both."""

import html
import math
import re
import warnings
from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import Any

from kdsweep.errors import printable
from kdsweep.report.axes import short

FRONT, PALE, CONTROL, TEACHER = "#0b5fa5", "#9aa5b1", "#d9822b", "#2f855a"
SERIES = (
    "#0b5fa5", "#d9822b", "#2f855a", "#8b5cf6", "#c53030", "#0e9fb0", "#b7791f", "#d53f8c",
    "#5a67d8", "#718096",
)  # fmt: skip
"""Colours of what has no meaning of its own; they can be told apart on white and on black."""
GRID, INK, QUIET = "rgba(136,136,136,0.27)", "#334155", "#64748b"
_MPL_GRID = "#e2e8f0"


def words(text: object) -> str:
    """Text of a record for Plotly, which would read tags in it."""
    return html.escape(printable(str(text)), quote=False)


def label(text: object) -> str:
    """Text of a record for Matplotlib, which would read formulas between dollar signs."""
    return printable(str(text)).replace("$", r"\$")


def shorten(text: str, most: int) -> str:
    """The beginning of a text that is longer than ``most`` characters."""
    return text if len(text) <= most else text[: most - 3] + "..."


def shorten_path(path: str, most: int) -> str:
    """The end of a dotted path that is longer than ``most`` characters."""
    return path if len(path) <= most else "..." + path[3 - most :]


def broken(text: str, most: int) -> tuple[str, ...]:
    """A name in lines of at most ``most`` characters, as far as it has places to break at.

    These are behind ``_``, ``+``, ``.``, ``/``, ``-`` and blanks.
    """
    lines = [""]
    for part in re.split(r"(?<=[_+./ -])(?=[^\W_])", text):
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > most:
            lines.append("")
        lines[-1] += part
    return tuple(line.rstrip() for line in lines)


def plotly_figure(**layout: Any) -> Any:
    """An empty figure without a background, so that it suits a light page and a dark one."""
    import plotly.graph_objects as go

    axis = {"gridcolor": GRID, "zeroline": False, "automargin": True}
    return go.Figure(
        layout={
            "template": "none",
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": "system-ui, sans-serif", "size": 13},
            "margin": {"l": 60, "r": 20, "t": 20, "b": 50},
            "legend": {
                "orientation": "h",
                "yref": "container",
                "y": 0,
                "yanchor": "bottom",
                "x": 0,
            },
            "hoverlabel": {"align": "left"},
            "height": 460,
            **layout,
            "xaxis": {**axis, **layout.get("xaxis", {})},
            "yaxis": {**axis, **layout.get("yaxis", {})},
        }
    )


def size_axis(title: str, values: Sequence[float]) -> dict[str, Any]:
    """Plotly's logarithmic axis for sizes, with short numbers at 1, 2 and 5 or at tens alone."""
    low, high = math.log10(min(values)), math.log10(max(values))
    tens = range(math.floor(low) - 1, math.ceil(high) + 1)
    steps = (1, 2, 5) if high - low < 3 else (1,)
    ticks = [step * 10.0**ten for ten in tens for step in steps]
    texts = [short(tick) for tick in ticks]
    return {"type": "log", "title": {"text": title}, "tickvals": ticks, "ticktext": texts}


def mpl_figure(*, width: float = 8, height: float = 5, dpi: int = 150) -> Any:
    """An empty figure; without pyplot, whose global state is not for threads."""
    # Imported late: it takes a second.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def png_of(figure: Any) -> bytes:
    """The figure as a PNG."""
    picture = BytesIO()
    with warnings.catch_warnings():
        # A name may hold characters that the font has not.
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(picture, format="png")
    return picture.getvalue()


def outside_words(values: Iterable[float], low: float, high: float, noun: str) -> str:
    """``2 trials lie outside the picture``: how many ``values`` are not from ``low`` to ``high``.

    Nothing where all are.
    """
    num = sum(not low <= value <= high for value in values)
    return f"{num} {noun}{'s lie' if num > 1 else ' lies'} outside the picture" if num else ""


def note_above(figure: Any, note: str) -> None:
    """Plotly's small words above to the right; what lies outside is there when one zooms out."""
    if note:
        figure.add_annotation(
            text=words(note), xref="paper", yref="paper", x=1, y=1, xanchor="right",
            yanchor="bottom", showarrow=False, font={"size": 11, "color": QUIET},
        )  # fmt: skip


def dress(plot: Any, *, title: str, x: str, y: str, note: str = "") -> None:
    """Title, names of the axes and a faint grid; ``note`` stands small above to the right."""
    plot.set_xlabel(label(x))
    plot.set_ylabel(label(y))
    plot.set_title(label(title), fontsize=12, loc="left", fontweight="bold")
    plot.set_title(label(note), fontsize=8.5, loc="right", color=QUIET)
    plot.grid(True, which="major", color=_MPL_GRID, lw=0.7, zorder=0)
    plot.set_axisbelow(True)
    plot.spines[["top", "right"]].set_visible(False)


def logarithmic(plot: Any) -> None:
    """A size on the x axis, with short numbers at 1, 2 and 5."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    plot.set_xscale("log")
    plot.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    plot.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    plot.xaxis.set_minor_formatter(NullFormatter())


def legend_below(figure: Any, plot: Any, *, columns: int = 4) -> None:
    """What is what, below the plot, where there is more than nothing."""
    if plot.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize=9)
