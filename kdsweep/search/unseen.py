"""Which points may still be trained: none that is known, none whose student is out of bounds."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from kdsweep.results.record import Metric
from kdsweep.search.bounds import SizesOf
from kdsweep.search.draws import draw
from kdsweep.spec import Assignment, Label, Space
from kdsweep.spec.sweep import Bound
from kdsweep.sweep_file.out_of_reach import misses

TRIES = 200
"""Points drawn at random before the space is gone through in its order."""

MOST_LISTED = 100_000
"""Points gone through before the search gives up: a few seconds."""


class Unseen:
    """Keeps the points that are known, and finds others."""

    def __init__(
        self, space: Space, bounds: Mapping[Metric, Bound], sizes_of: SizesOf, *, seed: int
    ) -> None:
        self._space, self._sizes_of = space, sizes_of
        self._bounds = bounds
        self._random = np.random.default_rng(seed)
        self._known: set[frozenset[tuple[str, Label]]] = set()
        self._listed: Iterator[Assignment] | None = None
        self.num_out_of_bounds = 0
        """How many points were refused for the size of their student."""

    def add(self, params: Mapping[str, Label]) -> None:
        """A point that is not to come again; of no params, nothing."""
        if params:
            self._known.add(frozenset(params.items()))

    def admits(self, assignment: Assignment) -> bool:
        """Whether the point is new, and its student within the bounds so far as that is known."""
        return frozenset(assignment.params.items()) not in self._known and self.fits(
            assignment.changes
        )

    def fits(self, changes: Mapping[str, Any]) -> bool:
        """Whether the student's size, which is known untrained, meets the bounds on sizes."""
        fits = not self.sizes_out_of_bounds(changes)
        self.num_out_of_bounds += not fits
        return fits

    def sizes_out_of_bounds(self, changes: Mapping[str, Any]) -> Mapping[Metric, float]:
        """The sizes of a student that breaks a bound on them; empty where none is broken."""
        sizes = self._sizes_of(changes) if self._bounds else None
        return sizes if sizes and misses(sizes, self._bounds) else {}

    def find(self) -> Assignment | None:
        """A point that it admits, at random while that is quick; ``None`` if there is none."""
        for _ in range(TRIES):
            drawn = self._space.resolve(lambda dimension: draw(dimension, self._random))
            if self.admits(drawn):
                return drawn
        if self._space.num_points is None:
            return None
        if self._listed is None:
            self._listed = islice(self._space.points(), MOST_LISTED)
        return next((point for point in self._listed if self.admits(point)), None)
