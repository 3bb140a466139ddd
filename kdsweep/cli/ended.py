"""What ``run`` and ``resume`` print when a sweep has ended: what it spent, and the front."""

from typing import TYPE_CHECKING

import typer

from kdsweep.cli.saying import say

if TYPE_CHECKING:
    from kdsweep.results.confirmation import Confirmation
    from kdsweep.results.record import TrialResult
    from kdsweep.results.store import RunStore


def print_confirmation(found: "Confirmation") -> None:
    """What a confirmation has found so far."""
    from rich.console import Console

    from kdsweep.cli.saying import warn
    from kdsweep.report.confirmed import confirmation_view

    for problem in found.problems:
        warn(problem)
    console = Console(highlight=False)
    console.print(confirmation_view(found))
    console.print(
        f"{found.place}: the records; kdsweep ui: browse them",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def print_front(store: "RunStore", results: "list[TrialResult]") -> None:
    """The table of the front, or why there is none; of a confirmation what it has found."""
    if store.meta.confirms is not None:
        from kdsweep.results.confirmation import confirmation

        print_confirmation(confirmation(store))
        return
    from rich.console import Console

    from kdsweep.report.table import trial_table
    from kdsweep.results.pareto import front

    meta = store.meta
    console = Console()
    found = front(results, meta.objectives, constraints=meta.constraints)
    if not found:
        some = front(results, meta.objectives)
        why = "no complete trial meets the constraints" if some else "no trial is complete"
        say(f"{store.place}: {why}, so there is no front")
        return
    console.print(
        trial_table(found, meta.objectives, title=f"{meta.name}: the front", width=console.width)
    )
    console.print(
        f"{store.place}: the records; kdsweep ui: browse them; "
        f"kdsweep select {store.place} --help: choose",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def print_spent(store: "RunStore", results: "list[TrialResult]") -> None:
    """What the sweep has spent since its first process began, on what, and what ended it."""
    from collections import Counter

    from kdsweep.report.labels import spent_words

    typer.echo(f"spent: {spent_words(store.meta)}")
    pruned = [each for each in results if each.status == "pruned"]
    if pruned:
        left_out = sum(each.trial["train"]["epochs"] - len(each.epochs) for each in pruned)
        typer.echo(
            f"rungs: {len(pruned)} trial{'s' * (len(pruned) != 1)} pruned, {left_out:,} epochs less"
        )
    ways = Counter(each.computed for each in results if each.role != "teacher" and each.computed)
    if ways:
        found = (f"{num} trial{'s' * (num != 1)} in {way}" for way, num in ways.most_common())
        say(f"computed: {'; '.join(found)}")
    given_up = [r for r in results if r.role != "teacher" and r.status == "complete"
                and r.weights is None]  # fmt: skip
    if given_up:
        many = "s" * (len(given_up) != 1)
        typer.echo(f"room: weights of {len(given_up)} student{many} given up (storage.max_bytes)")
    if store.meta.ended_by:
        say(f"ended: {store.meta.ended_by}")
