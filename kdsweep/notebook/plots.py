"""The pictures of a sweep as figures of Plotly, by their names: ``plot.front()``."""

from collections.abc import Callable, Iterable
from typing import Any

from kdsweep.errors import ResultError, unknown_name
from kdsweep.report.pictures import PICTURES, SweepView


class Plots:
    """A method for each picture, which gives a figure that shows itself in Jupyter.

    ``dir(sweep.plot)`` lists them, ``help(sweep.plot.front)`` says what a picture shows. Each
    raises ``ResultError`` where there is nothing to show yet.
    """

    def __init__(self, view_for: Callable[[str], SweepView], *, place: str) -> None:
        """``view_for`` gives the sweep as the picture of that name needs it."""
        self._view_for, self._place = view_for, place

    def __getattr__(self, name: str) -> Callable[[], Any]:
        if name not in PICTURES:
            raise AttributeError(unknown_name("picture", name, PICTURES))
        picture = PICTURES[name]

        def figure() -> Any:
            found = picture.figure(self._view_for(name))
            if found is None:
                raise ResultError(
                    f"there is nothing to show of {name!r} yet: too few trials have come so far",
                    source=self._place,
                )
            return found

        figure.__name__, figure.__qualname__ = name, f"{type(self).__name__}.{name}"
        figure.__doc__ = f"""{picture.title}, as a figure of Plotly.

        {picture.caption}

        Raises:
            ResultError: there is nothing to show yet.
        """
        return figure

    def __dir__(self) -> Iterable[str]:
        return list(PICTURES)

    def __repr__(self) -> str:
        return f"pictures of {self._place}: {', '.join(f'{name}()' for name in PICTURES)}"
