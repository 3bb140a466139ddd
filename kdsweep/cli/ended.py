"""What ``run`` and ``resume`` print when a sweep has ended: what it spent, and the front."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from kdsweep.cli.saying import tell, warn

if TYPE_CHECKING:
    from kdsweep.results.confirmation import Confirmation
    from kdsweep.results.meta import RunMeta
    from kdsweep.results.record import TrialResult
    from kdsweep.results.store import RunStore


def print_confirmation(found: "Confirmation", root: Path) -> None:
    """What a confirmation has found so far; its run is one of those under ``root``."""
    from rich.console import Console

    from kdsweep.report.confirmed import confirmation_view

    for problem in found.problems:
        warn(problem)
    Console(highlight=False).print(confirmation_view(found))
    tell(f"{found.place}: the records; {browsing(found.meta, root)}".removesuffix("; "))


def print_front(store: "RunStore", results: "list[TrialResult]") -> None:
    """The table of the front, or why there is none; of a confirmation what it has found."""
    if store.meta.confirms is not None:
        from kdsweep.results.confirmation import confirmation

        print_confirmation(confirmation(store), store.directory.parent)
        return
    from rich.console import Console

    from kdsweep.report.axes import teacher_metrics
    from kdsweep.report.far_below import far_below_teacher
    from kdsweep.report.table import trial_table
    from kdsweep.results.noise import validation_examples
    from kdsweep.results.pareto import front

    meta = store.meta
    console = Console()
    found = front(results, meta.objectives, constraints=meta.constraints)
    if not found:
        some = front(results, meta.objectives)
        why = "no complete trial meets the constraints" if some else "no trial is complete"
        tell(f"{store.place}: {why}, so there is no front")
        return
    console.print(trial_table(
        found, meta.objectives, title=f"{meta.name}: the front", width=console.width,
        examples=validation_examples(meta, results),
    ))  # fmt: skip
    known = teacher_metrics(meta, results) or {}
    if said := far_below_teacher(results, known.get("accuracy")):
        tell(f"note: {said}")
    tell(
        f"{store.place}: the records; {browsing(meta, store.directory.parent)}"
        f"kdsweep select {store.place} --help: choose"
    )


def browsing(meta: "RunMeta", root: Path) -> str:
    """Where MLflow shows a run under ``root``, as part of a sentence; empty if it is untracked."""
    from kdsweep.errors import printable
    from kdsweep.storage.copies import address_of_root
    from kdsweep.tracking.where import default_uri

    uri = meta.tracking_uri
    if uri is None:
        return ""
    if uri != default_uri(root):
        return f"MLflow at {printable(uri)}: browse them; "
    place = address_of_root(root) or ("" if root.resolve() == Path("runs").resolve() else str(root))
    option = f" --runs-dir {shlex.quote(printable(place))}" if place else ""
    return f"kdsweep ui{option}: browse them; "


def print_spent(store: "RunStore", results: "list[TrialResult]") -> None:
    """What the sweep has spent since its first process began, on what, and what ended it."""
    from collections import Counter

    from kdsweep.report.labels import spent_words

    tell(f"spent: {spent_words(store.meta)}")
    pruned = [each for each in results if each.status == "pruned"]
    if pruned:
        left_out = sum(each.trial["train"]["epochs"] - len(each.epochs) for each in pruned)
        tell(
            f"rungs: {len(pruned)} trial{'s' * (len(pruned) != 1)} pruned, {left_out:,} epochs less"
        )
    ways = Counter(each.computed for each in results if each.role != "teacher" and each.computed)
    if ways:
        found = (f"{num} trial{'s' * (num != 1)} in {way}" for way, num in ways.most_common())
        tell(f"computed: {'; '.join(found)}")
    given_up = [r for r in results if r.role != "teacher" and r.status == "complete"
                and r.weights is None]  # fmt: skip
    if given_up:
        many = "s" * (len(given_up) != 1)
        tell(f"room: weights of {len(given_up)} student{many} given up (storage.max_bytes)")
    if store.meta.ended_by:
        tell(f"ended: {store.meta.ended_by}")
