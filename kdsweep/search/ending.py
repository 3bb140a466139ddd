"""What is left behind where a sweep has ended."""

from kdsweep.report.picture_files import write_front_table
from kdsweep.report.progress import Progress
from kdsweep.results.store import RunStore
from kdsweep.search.budget import Budget, Spent
from kdsweep.search.illustrator import Illustrator
from kdsweep.search.journal import Journal
from kdsweep.tracking.tracker import Tracker


def leave_behind(
    store: RunStore,
    journal: Journal,
    status: str,
    budget: Budget,
    progress: Progress,
    tracker: Tracker | None,
    illustrator: Illustrator | None,
) -> None:
    """Write what is known of a sweep that has ended into the run directory, and tell MLflow.

    Without an ``illustrator`` there are no new pictures.

    Raises:
        OSError: it cannot be written.
    """
    journal.end_open("the sweep ended before this trial did")
    store.update_meta(status=status)
    keep_spent(store, budget.spent)
    progress.phase("writing the front")
    write_front_table(store, journal.front)
    if illustrator is not None:
        illustrator.finish()
    if tracker is not None:
        progress.phase("sending the rest to MLflow")
        tracker.start()
        tracker.finish(store.meta.status, journal.front)
        tracker.close()
    # The files of the front and MLflow have taken time as well.
    keep_spent(store, budget.spent)


def keep_spent(store: RunStore, spent: Spent) -> None:
    """Write down what was spent so far."""
    # Between the end of a trial and its account its epochs are missing.
    epochs = max(spent.epochs, store.meta.student_epochs)
    store.update_meta(wall_seconds=spent.seconds, student_epochs=epochs, cost=spent.cost)
