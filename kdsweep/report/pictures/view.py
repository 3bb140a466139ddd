"""What every picture of a sweep is drawn from."""

from dataclasses import dataclass
from functools import cached_property

from kdsweep.report.axes import Axes, axes_of, teacher_metrics
from kdsweep.report.importance import Importance
from kdsweep.results.meta import RunMeta
from kdsweep.results.record import TrialResult
from kdsweep.results.replicates import by_point
from kdsweep.spec import Space


@dataclass(frozen=True)
class SweepView:
    """A sweep as it stands: its records by number, its front, and which settings mattered."""

    meta: RunMeta
    results: tuple[TrialResult, ...]
    front: tuple[TrialResult, ...]
    importance: Importance | None = None
    """None where it was not computed."""
    space: Space | None = None
    """What was searched; none where the sweep file cannot be read."""

    @cached_property
    def points(self) -> list[TrialResult]:
        """One result for each point that the search proposed, without the teachers."""
        return [result for result in by_point(self.results) if result.role != "teacher"]

    @cached_property
    def complete(self) -> list[TrialResult]:
        """The points that came to their end, controls among them."""
        return [result for result in self.points if result.status == "complete"]

    @cached_property
    def axes(self) -> Axes:
        """Size against quality."""
        return axes_of(self.meta.objectives)

    @cached_property
    def teacher(self) -> dict[str, float] | None:
        """The metrics of the trial's own teacher; none where there is none."""
        return teacher_metrics(self.meta, self.results)

    @cached_property
    def on_front(self) -> frozenset[str]:
        """The ids by which the members of the front are known."""
        return frozenset(result.trial_id for result in self.front)

    @property
    def noun(self) -> str:
        """What a mark stands for: ``trial``, or ``point`` where each has replicates."""
        return "trial" if all(result.replicates == 1 for result in self.points) else "point"
