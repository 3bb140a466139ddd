"""A sweep while it runs: a live display in a terminal, plain lines elsewhere."""

import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, RenderableType
from rich.live import Live

from kdsweep.errors import printable
from kdsweep.report.folding import folded
from kdsweep.report.live_view import SweepState, render
from kdsweep.report.trial_line import trial_line
from kdsweep.results.pareto import Objectives
from kdsweep.results.record import EpochMetrics, TrialResult

_REFRESHES_PER_SECOND = 4
_PLAIN_PHASE_S = 10.0


class Progress:
    """Tells a person how a sweep is doing; every method is cheap and may come from any thread.

    In a terminal the display is drawn a few times a second from the state that the methods note
    down. Elsewhere there is one line per finished trial, and one when a new phase begins.
    """

    def __init__(
        self,
        name: str,
        planned: int | None,
        objectives: Objectives,
        console: Console | None = None,
        *,
        done: int = 0,
    ) -> None:
        """``planned`` counts all trials, if their number is known; ``done`` those of an earlier run
        that have ended.
        """
        self._console = console or Console()
        self._state = SweepState(
            name=printable(name), planned=planned, objectives=objectives, earlier=done
        )
        self._lock = threading.Lock()
        self._show: _Show = (
            _LiveShow(self) if self._console.is_terminal else _PlainShow(self._console)
        )

    def __enter__(self) -> Self:
        self._show.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._show.stop()

    def phase(self, text: str) -> None:
        """What the sweep as a whole is doing: ``starting Ray``, ``teacher: epoch 3/30``."""
        with self._lock:
            self._state.phase = text
        self._show.phase(text)

    def trial_started(self, trial_id: str, name: str) -> None:
        """A trial was given to a lane."""
        with self._lock:
            self._state.begin(trial_id, printable(name))

    def trial_epoch(self, trial_id: str, metrics: EpochMetrics, epochs: int) -> None:
        """A running trial finished one of its ``epochs``."""
        with self._lock:
            self._state.epoch(trial_id, metrics, epochs)

    def trial_ended(self, result: TrialResult, front: Sequence[TrialResult]) -> None:
        """A trial has ended, one way or another, and this is the front with it."""
        with self._lock:
            self._state.end(result, front)
            line = trial_line(
                result, self._state.objectives, front,
                counted=_counted(self._state), width=self._console.width,
            )  # fmt: skip
        self._show.trial(printable(line), result)

    def message(self, text: str) -> None:
        """A line for the person to read, kept on the screen."""
        self._show.message(printable(text))

    def draw(self) -> RenderableType:
        """The live display as it is now."""
        with self._lock:
            return render(self._state, width=self._console.width, height=self._console.height)


class _Show(Protocol):
    """How a sweep is shown."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def phase(self, text: str) -> None: ...
    def trial(self, line: str, result: TrialResult) -> None: ...
    def message(self, text: str) -> None: ...


class _PlainShow:
    """One line per event, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._kind, self._said = "", 0.0

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def phase(self, text: str) -> None:
        kind, now = text.partition(":")[0], time.monotonic()
        # "teacher: epoch 3/30" comes with every epoch; a log wants the first, and some more.
        if kind != self._kind or now - self._said >= _PLAIN_PHASE_S:
            self._kind, self._said = kind, now
            self.message(text)

    def trial(self, line: str, result: TrialResult) -> None:
        self.message(line)

    def message(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class _LiveShow:
    """The live display; Rich's own thread draws it."""

    def __init__(self, progress: Progress) -> None:
        self._console = progress._console
        self._live = Live(
            console=self._console,
            get_renderable=progress.draw,
            refresh_per_second=_REFRESHES_PER_SECOND,
        )

    def start(self) -> None:
        self._live.start()

    def stop(self) -> None:
        self._live.stop()

    def phase(self, text: str) -> None:
        """Drawn with the rest."""

    def trial(self, line: str, result: TrialResult) -> None:
        """Failures stay on the screen; the rest is in the counts and the plot."""
        if result.status == "failed":
            self.message(line)

    def message(self, text: str) -> None:
        lines = [part for line in text.split("\n") for part in folded(line, 2, self._console.width)]
        self._console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


def _counted(state: SweepState) -> str:
    """`` 3/42``: how many trials have ended, of how many."""
    of = "" if state.planned is None else f"/{state.planned}"
    return f"{state.done:{max(0, len(of) - 1)}}{of}"
