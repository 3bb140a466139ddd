"""What the live display shows, and how: the state of a sweep, drawn."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from kdsweep.errors import printable
from kdsweep.report.labels import clock_words, strategy_label, student_label
from kdsweep.report.table import metric_text
from kdsweep.report.text_plot import text_plot
from kdsweep.report.trial_line import shortened
from kdsweep.results.pareto import Objectives
from kdsweep.results.record import EpochMetrics, Status, TrialResult
from kdsweep.results.replicates import Gathering

_MOST_RUNNING = 8
_MOST_BEST = 3
_FEWEST_FOR_A_PACE = 2


@dataclass
class SweepState:
    """The state of a sweep as the display needs it; whoever changes it holds the lock."""

    name: str
    planned: int | None
    """How many trials there will be; none where a budget of something else decides."""
    objectives: Objectives
    earlier: int = 0
    """Trials that were finished before this display began."""
    phase: str = "starting"
    began: float = field(default_factory=lambda: time.monotonic())
    first_epoch: float | None = None
    running: dict[str, str] = field(default_factory=dict)
    running_epochs: dict[str, tuple[EpochMetrics, int]] = field(default_factory=dict)
    ended: Counter[Status] = field(default_factory=Counter)
    results: list[TrialResult] = field(default_factory=list)
    """What has ended: trials, or points of which all replicates have."""
    gathering: Gathering = field(default_factory=Gathering)
    front: list[TrialResult] = field(default_factory=list)
    teacher: dict[str, float] | None = None
    plot: tuple[tuple[int, int, int], str] | None = None
    """The last drawing of the front, with the counts and width that it was drawn for."""

    @property
    def done(self) -> int:
        """Trials that have ended, before this display and since; stopped ones will go on."""
        return self.earlier + self._ended_well

    @property
    def _ended_well(self) -> int:
        return self.ended.total() - self.ended["stopped"]

    def begin(self, trial_id: str, name: str) -> None:
        """Note a trial that was handed to the lanes."""
        self.running[trial_id] = name

    def epoch(self, trial_id: str, metrics: EpochMetrics, epochs: int) -> None:
        """Note an epoch; the first one of all starts the clock of ``seconds_left``."""
        if self.first_epoch is None:
            self.first_epoch = time.monotonic() - metrics.seconds
        self.running_epochs[trial_id] = (metrics, epochs)

    def end(self, result: TrialResult, front: Sequence[TrialResult]) -> None:
        """Note a trial that ended; the teacher is no trial and counts as none."""
        self.running.pop(result.trial_id, None)
        self.running_epochs.pop(result.trial_id, None)
        self.front = list(front)
        if result.role == "teacher":
            self.teacher = result.metrics
            return
        self.ended[result.status] += 1
        # The epochs of thousands of trials are of no use to a picture of their ends.
        point = self.gathering.add(result.model_copy(update={"epochs": ()}))
        if point is not None:
            self.results.append(point)

    def seconds_left(self) -> float | None:
        """At the pace since the first epoch; none before a few trials have ended, or at the end."""
        ended = self._ended_well
        if self.first_epoch is None or ended < _FEWEST_FOR_A_PACE or self.ended["stopped"]:
            return None
        if self.planned is None:
            return None
        pace = (time.monotonic() - self.first_epoch) / ended
        return max(0, self.planned - self.done) * pace


def render(state: SweepState, *, width: int, height: int) -> RenderableType:
    """The display for a terminal of ``width`` by ``height`` characters."""
    parts: list[RenderableType] = [_header(state)]
    if state.planned is not None:
        parts.append(_bar(state, state.planned, width))
    if state.running:
        parts.append(_running(state, width))
    plot_height = min(14, height - len(state.running) - 8)
    if state.front and plot_height >= 8:
        parts += [_best(state), Text(_plot(state, min(width, 100) - 1, plot_height))]
    return Group(*parts)


def _header(state: SweepState) -> Text:
    counts = [f"{state.done}/{state.planned} done" if state.planned else f"{state.done} done"]
    counts += [f"{len(state.running)} running"] if state.running else []
    counts += [f"{state.ended[s]} {s}" for s in ("pruned", "failed", "stopped") if state.ended[s]]
    counts.append(f"front {len(state.front)}")
    left = state.seconds_left()
    clock = clock_words(time.monotonic() - state.began)
    clock += f", about {clock_words(left)} left" if left is not None else ""
    text = Text.assemble((state.name, "bold"), "  ", ", ".join(counts), "  ", (clock, "dim"))
    if state.phase:
        text.append(f"\n{state.phase}", style="cyan")
    return text


def _bar(state: SweepState, planned: int, width: int) -> Table:
    """In a grid of its own: a bar ends without a new line, and what follows would stick to it."""
    bar = ProgressBar(total=max(1, planned), completed=state.done, width=min(width, 76))
    line = Table.grid()
    line.add_row(bar)
    return line


def _running(state: SweepState, width: int) -> Table:
    rows = []
    for trial_id, name in list(state.running.items())[:_MOST_RUNNING]:
        said = ["", "", ""]
        if trial_id in state.running_epochs:
            metrics, epochs = state.running_epochs[trial_id]
            said = [f"epoch {metrics.epoch}/{epochs}", f"accuracy {100 * metrics.accuracy:.1f}%",
                    f"lr {metrics.lr:.3g}"]  # fmt: skip
        rows.append(["▸", trial_id, name, *said])
    others = [max(map(len, column)) for column in zip(*rows, strict=True)]
    room = width - sum(others[:2] + others[3:]) - 2 * len(others)
    table = Table.grid(padding=(0, 2, 0, 0))
    for mark, trial_id, name, *said in rows:
        table.add_row(Text(mark, style="cyan"), trial_id, Text(shortened(name, room)), *said)
    more = len(state.running) - _MOST_RUNNING
    if more > 0:
        table.add_row("", "", f"and {more} more")
    return table


def _best(state: SweepState) -> Text:
    """The points at the good end of the front, in one line each."""
    lines = []
    for result in state.front[::-1][:_MOST_BEST]:
        values = ", ".join(f"{metric} {metric_text(result, metric)}" for metric in state.objectives)
        lines.append(f"● {student_label(result)} {strategy_label(result)}: {values}")
    text = printable("\n".join(lines))
    return Text(text, style="green", no_wrap=True, overflow="ellipsis")


def _plot(state: SweepState, width: int, height: int) -> str:
    """The plot, drawn anew only when a trial has ended or the window has changed."""
    key = (state.done, width, height)
    if state.plot is None or state.plot[0] != key:
        drawn = text_plot(
            state.results, state.front, state.objectives,
            teacher=state.teacher, width=width, height=height,
        )  # fmt: skip
        state.plot = (key, drawn)
    return state.plot[1]
