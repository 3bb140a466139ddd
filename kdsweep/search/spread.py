"""The first trials of a search, spread over the sizes of their students, known untrained."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from kdsweep.results.pareto import known_untrained, size_objective
from kdsweep.search.bounds import SizesOf
from kdsweep.search.draws import draw
from kdsweep.spec import Assignment, Space, SweepSpec
from kdsweep.sweep_file import sets_student
from kdsweep.sweep_file.corners import student_corners

SizeOf = Callable[[Mapping[str, Any]], float | None]
"""Changes of the trial -> the size of its student; ``None`` if it is not known."""

CANDIDATES = 256
MOST_STUDENTS = 48
"""That are built to learn their sizes: some milliseconds each, of large ones tenths of a second."""


class Spread:
    """Picks points so that the sizes of their students cover the range that the space has.

    The range is cut into ``num_strata`` by the logarithm of the size. Each pick lies in one of the
    strata that have had the fewest points so far, in the one farthest from those that have any.
    """

    def __init__(self, space: Space, size_of: SizeOf, *, num_strata: int, seed: int) -> None:
        self._space, self._size_of = space, size_of
        self._num_strata, self._seed = num_strata, seed

    @classmethod
    def over(cls, spec: SweepSpec, space: Space, sizes_of: SizesOf, *, num_strata: int) -> "Spread":
        """Over the first objective that is a size, or else a cost; without one over nothing."""
        objective = size_objective(spec.objectives)
        metric = objective and known_untrained(objective)

        def size_of(changes: Mapping[str, Any]) -> float | None:
            sizes = sizes_of(changes) if metric else None
            return sizes.get(metric) if sizes and metric else None

        return cls(space, size_of, num_strata=num_strata, seed=spec.search.seed)

    def pick(
        self, covered: Sequence[Mapping[str, Any]], admits: Callable[[Assignment], bool]
    ) -> Assignment | None:
        """The next point, if any is left that ``admits`` allows; ``covered`` are changes so far."""
        if not self._candidates:
            return None
        sizes = [size for size in map(self._size_of, covered) if size]
        counts = np.bincount([self.stratum(size) for size in sizes], minlength=self._num_strata)
        while self._candidates:
            strata = sorted({stratum for stratum, _ in self._candidates})
            fewest = min(counts[stratum] for stratum in strata)
            taken = np.flatnonzero(counts)
            chosen = max(
                (stratum for stratum in strata if counts[stratum] == fewest),
                key=lambda stratum: min((abs(stratum - other) for other in taken), default=0),
            )
            point = self._take(chosen)
            if admits(point):
                return point
        return None

    def stratum(self, size: float) -> int:
        """Which part of the range a size lies in; what lies outside counts to the nearest end."""
        low, high = self._range
        if high <= low:
            return 0
        share = (math.log(size) - low) / (high - low)
        return min(max(int(share * self._num_strata), 0), self._num_strata - 1)

    def _take(self, stratum: int) -> Assignment:
        index = next(i for i, (of, _) in enumerate(self._candidates) if of == stratum)
        return self._candidates.pop(index)[1]

    @cached_property
    def _candidates(self) -> list[tuple[int, Assignment]]:
        return [(self.stratum(size), point) for size, point in self._sized]

    @cached_property
    def _range(self) -> tuple[float, float]:
        logs = [math.log(size) for size, _ in self._sized]
        return min(logs, default=0.0), max(logs, default=0.0)

    @cached_property
    def _sized(self) -> list[tuple[float, Assignment]]:
        """Points at random and the students at the corners, with the sizes that are known."""
        random = np.random.default_rng(self._seed)
        corners = [corner.params for corner in student_corners(self._space)]
        fixed = [*corners, *({} for _ in range(CANDIDATES - len(corners)))]
        found: list[tuple[float, Assignment]] = []
        students: set[str] = set()
        for params in fixed:
            point = self._space.resolve(
                lambda d, params=params: params.get(d.name, draw(d, random))  # type: ignore[misc]
            )
            student = repr([each for each in point.changes.items() if sets_student(each[0])])
            if student not in students and len(students) >= MOST_STUDENTS:
                continue
            students.add(student)
            size = self._size_of(point.changes)
            if size:
                found.append((size, point))
        order = random.permutation(len(found))
        return [found[index] for index in order]
