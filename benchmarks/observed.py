"""Runs ``kdsweep`` as it is, and notes when what its display is told happens.

``python observed.py EVENTS ARGUMENT ...`` runs ``kdsweep ARGUMENT ...`` in this process and writes
one JSON object per event to the file ``EVENTS``: ``at`` (seconds since 1970), ``what``, and more.
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from kdsweep import cli
from kdsweep.report import progress
from kdsweep.results.record import EpochMetrics, TrialResult


def main() -> None:
    """Put an observer in place of the display, and run the command."""
    path, *arguments = sys.argv[1:]
    sys.argv = ["kdsweep", *arguments]
    with Path(path).open("w", buffering=1) as events:
        progress.Progress = _observing(events)  # type: ignore[misc]
        cli.main()


def _observing(events: IO[str]) -> type[progress.Progress]:
    def note(what: str, **more: Any) -> None:
        events.write(json.dumps({"at": time.time(), "what": what, **more}) + "\n")

    class Observing(progress.Progress):
        """The display, which also writes down what it hears."""

        def phase(self, text: str) -> None:
            note("phase", text=text)
            super().phase(text)

        def trial_epoch(self, trial_id: str, metrics: EpochMetrics, epochs: int) -> None:
            note("epoch", trial=trial_id, epoch=metrics.epoch)
            super().trial_epoch(trial_id, metrics, epochs)

        def trial_ended(self, result: TrialResult, front: Sequence[TrialResult]) -> None:
            note(
                "ended",
                trial=result.trial_id,
                seconds=result.seconds,
                status=result.status,
                metrics={name: result.metrics.get(name) for name in ("accuracy", "params")},
            )
            super().trial_ended(result, front)

    return Observing


if __name__ == "__main__":
    main()
