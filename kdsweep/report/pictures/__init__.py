"""Pictures of a sweep, a file for each, by their names."""

from typing import Any

from kdsweep.report.importance import Importance
from kdsweep.report.pictures import (
    coordinates,
    curves,
    front,
    hypervolume,
    importance,
    strategies,
)
from kdsweep.report.pictures.picture import Drawn, Picture
from kdsweep.report.pictures.view import SweepView

PICTURES: dict[str, Picture[Any]] = {
    "front": front.PICTURE,
    "strategies": strategies.PICTURE,
    "importance": importance.PICTURE,
    "coordinates": coordinates.PICTURE,
    "curves": curves.PICTURE,
    "hypervolume": hypervolume.PICTURE,
}
"""In the order in which a person reads them."""

__all__ = ["PICTURES", "Drawn", "Importance", "Picture", "SweepView", "draw"]


def draw(view: SweepView) -> dict[str, Drawn]:
    """Each picture of which there is something to show."""
    drawn = {name: picture.drawn(view) for name, picture in PICTURES.items()}
    return {name: each for name, each in drawn.items() if each is not None}
