"""A picture of a sweep, to point at and as a PNG, both from the same plain data."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from kdsweep.report.pictures.view import SweepView

Data = TypeVar("Data")


@dataclass(frozen=True)
class Drawn:
    """A picture of a sweep, drawn in both ways."""

    title: str
    caption: str
    figure: Any
    png: bytes


@dataclass(frozen=True)
class Picture(Generic[Data]):
    """What is shown (``gather``) and how it is drawn twice; nothing where there is nothing."""

    title: str
    caption: str
    """What one sees in it, in a sentence or two."""
    gather: Callable[[SweepView], Data | None]
    """Plain data; none where there is nothing to show yet."""
    draw_figure: Callable[[Data], Any]
    draw_png: Callable[[Data], bytes]

    def figure(self, view: SweepView) -> Any | None:
        """A Plotly figure; none where there is nothing to show."""
        data = self.gather(view)
        return None if data is None else self.draw_figure(data)

    def png(self, view: SweepView) -> bytes | None:
        """The same drawn by Matplotlib; none where there is nothing to show."""
        data = self.gather(view)
        return None if data is None else self.draw_png(data)

    def drawn(self, view: SweepView) -> Drawn | None:
        """Both at once; none where there is nothing to show."""
        data = self.gather(view)
        if data is None:
            return None
        return Drawn(self.title, self.caption, self.draw_figure(data), self.draw_png(data))
