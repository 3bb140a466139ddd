"""``kdsweep compare``: the fronts of several runs side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from kdsweep.cli.early import said_in
from kdsweep.cli.reading import JsonOption, print_json, read
from kdsweep.cli.saying import say, warn
from kdsweep.cli.wrapped import wrapped_under
from kdsweep.errors import ResultError
from kdsweep.report.comparable import copies, differing, doubts, examples_of, warm_started
from kdsweep.report.compare_view import (
    band_noise_words,
    band_table,
    comparison_row,
    differing_lines,
    joint_table,
    plot,
    reference_words,
    run_lines,
    volume_table,
)
from kdsweep.results.at_hand import run_at_hand
from kdsweep.results.compare import Compared, Comparison, compare
from kdsweep.results.store import RunStore

_MOST = 26
_PLOT_HEIGHT = 18


def compare_runs(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN", parser=run_at_hand, help="Directories or addresses, two or more."
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Compare the fronts of several runs, and what each of them cost.

    It shows the area under each front, the front of all together and whose its
    points are, the best of each run for every size, and what the sweep files say
    differently, defaults written out. It warns where the runs are not comparable,
    as with other data, or are copies of one sweep.
    Each run is taken within its own constraints, on validation data.

    \b
    Example:
      kdsweep compare runs/digits runs/digits-2
    """
    stores = [RunStore.open(run) for run in runs]
    _refuse_few_or_twice(stores)
    compared = [Compared(store.meta, read(store)) for store in stores]
    found = compare(compared)
    doubtful, copied = doubts(compared), copies(compared)
    files = [said_in(store.sweep_text) for store in stores]
    differences, warm = _differences(stores, files), warm_started(files)
    places = [store.place for store in stores]
    if as_json:
        row = comparison_row(
            compared, places, found,
            doubts=[*doubtful, *warm], copies=copied, differences=differences,
        )  # fmt: skip
        print_json(row)
        return
    for line in run_lines(compared, places):
        say("\n".join(wrapped_under(line, indent=3)))
    for sentence in copied:
        warn(sentence)
    for sentence in doubtful:
        warn(f"not comparable as they stand: {sentence}")
    for sentence in warm:
        warn(sentence)
    _print_fronts(found, examples_of(compared))
    _print_differences(differences)


def _print_fronts(found: Comparison, examples: int | None) -> None:
    if not found.joint:
        say("\nno run has a complete trial that meets its constraints: there is nothing to compare")
        return
    console = Console(highlight=False)
    console.print(volume_table(found))
    say("\n".join(wrapped_under(reference_words(found), indent=0)))
    say("\nThe joint front, and whose its points are")
    console.print(joint_table(found))
    say("The best for every size; * is the best of all")
    console.print(band_table(found))
    if sentence := band_noise_words(found, examples):
        say("\n".join(wrapped_under(sentence, indent=0)) + "\n")
    say(plot(found, width=min(console.width, 100) - 1, height=_PLOT_HEIGHT))


def _print_differences(differences: dict[str, list[Any]]) -> None:
    if not differences:
        say("\nThe sweep files ask for the same, and the teacher is the same")
        return
    say("\nWhat the runs do differently")
    say("\n".join(f"  {line}" for line in differing_lines(differences)))


def _differences(
    stores: Sequence[RunStore], files: Sequence[dict[str, Any]]
) -> dict[str, list[Any]]:
    """By path: what the sweep files say, the teacher's hash, what was added to the sweep."""
    found = _asked_differently(files)
    metas = [store.meta for store in stores]
    teachers = [None if meta.teacher is None else meta.teacher.hash for meta in metas]
    added = [
        " ".join(f"{name}={value:g}" for name, value in meta.extended.items()) or None
        for meta in metas
    ]
    for name, values in (("teacher's hash", teachers), ("extended by", added)):
        if len(set(values)) > 1:
            found[name] = list(values)
    return found


def _asked_differently(files: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """A default that one file leaves out and another has written is no difference.

    Where one of them cannot be resolved here, as with a class that is not installed, all are
    compared as they are written.
    """
    as_written = differing(files)
    if not as_written:
        return {}
    # Of torch, which takes seconds.
    from kdsweep.sweep_file.written_out import written_out

    whole = [written_out(file) for file in files]
    told = [each for each in whole if each is not None]
    return differing(told) if len(told) == len(files) else as_written


def _refuse_few_or_twice(stores: Sequence[RunStore]) -> None:
    places = [store.directory.resolve() for store in stores]
    if len(places) < 2:
        raise ResultError("give two runs or more to compare; `kdsweep front RUN` shows one")
    if len(places) > _MOST:
        raise ResultError(f"{len(places)} runs are too many to compare: give {_MOST} at most")
    for number, place in enumerate(places):
        if place in places[:number]:
            raise ResultError("is named twice: give different runs", source=stores[number].place)
