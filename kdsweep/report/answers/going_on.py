"""The commands to go on with, each with what it is for."""

import shlex
from collections.abc import Iterable

from kdsweep.report.answers.section import Command, Section, counted
from kdsweep.report.pictures.view import SweepView


def go_on(view: SweepView, place: str, *, is_confirmed: bool = False) -> Section:
    """Commands that a person may want next."""
    commands = tuple(_commands(view, shlex.quote(place), is_confirmed))
    return Section(
        key="go_on", title="To go on", sentences=(), commands=commands,
        numbers={"commands": [each.line for each in commands]},
    )  # fmt: skip


def _commands(view: SweepView, place: str, is_confirmed: bool) -> Iterable[Command]:
    yield Command(
        "Print the front in the terminal, as a table and a small plot.", f"kdsweep front {place}"
    )
    if view.front:
        yield from _of_the_front(view, place, is_confirmed)
    if view.meta.status in ("stopped", "failed"):
        yield Command(
            "Go on with the sweep where it ended; the trials that it has count.",
            f"kdsweep resume {place}",
        )
    elif view.meta.status == "complete":
        more = max(10, len(view.points) // 2)
        yield Command(
            f"Search further: {more} trials more, which start from what these have shown.",
            f"kdsweep extend {place} --trials {more}",
        )
    if view.meta.status == "running":
        yield Command("See how the sweep stands, which still runs.", f"kdsweep status {place}")
    else:
        yield Command("Browse all trials and their pictures in MLflow's pages.", "kdsweep ui")


def _of_the_front(view: SweepView, place: str, is_confirmed: bool) -> Iterable[Command]:
    middle = view.front[len(view.front) // 2]
    most = middle.metrics.get("params")
    if most is None:
        yield Command(
            "Choose the most accurate student, and be told why it and not another.",
            f"kdsweep select {place}",
        )
    else:
        yield Command(
            f"Choose the most accurate student with at most {most:,.0f} parameters, and be told "
            "why it and not another; --help has the other limits.",
            f"kdsweep select {place} --max-params {most:.0f}",
        )
    if is_confirmed:
        yield Command(
            "Print what the last confirmation has found.", f"kdsweep confirm {place} --show"
        )
    else:
        num = min(5, len(view.front))
        yield Command(
            f"Train {'the best student' if num == 1 else f'the {num} best students'} of the front "
            "again with 5 fresh seeds and measure them on test data: numbers that no choice has "
            "made too good.",
            f"kdsweep confirm {place} --top {num} --seeds 5",
        )
    yield Command(
        f"Take student {middle.trial_id} away as ONNX, checked against the trained network, with a "
        "model card.",
        f"kdsweep export {place} {middle.trial_id} --format onnx",
    )
    epochs = counted(len(middle.epochs), "epoch") if middle.epochs else "all its epochs"
    yield Command(
        f"Train that student again, alone and in this terminal, for {epochs}.",
        f"kdsweep trial {place}/trials/{middle.trial_id}/trial.yaml",
    )
