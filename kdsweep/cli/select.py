"""``kdsweep select``: the best student within limits, or which limit to relax."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kdsweep.cli.reading import JsonOption, RunArgument, print_json, read
from kdsweep.cli.register import ALIAS, refuse_without_name, register_chosen
from kdsweep.cli.saying import say, warn
from kdsweep.cli.wrapped import wrapped_under
from kdsweep.errors import ResultError
from kdsweep.report.choice import (
    Facts,
    limits_met,
    noise_sentence,
    rejected_lines,
    runner_up_lines,
    why,
)
from kdsweep.report.choice_row import choice_row
from kdsweep.report.choosing import Asked, choose
from kdsweep.report.table import trial_table, value_text
from kdsweep.results.latencies import Measured, of_which_latency
from kdsweep.results.record import TrialResult
from kdsweep.results.select import PREFERENCES, Choice, Prefer
from kdsweep.results.store import RunStore
from kdsweep.storage.address import is_address


def select_student(
    run: RunArgument,
    max_params: Annotated[
        float | None, typer.Option(metavar="N", min=0, help="Most parameters it may have.")
    ] = None,
    max_macs: Annotated[
        float | None, typer.Option(metavar="N", min=0, help="Most multiply-adds per sample.")
    ] = None,
    max_size_kb: Annotated[
        float | None, typer.Option(metavar="N", min=0, help="Largest weights, in kB of 1000 bytes.")
    ] = None,
    max_latency_ms: Annotated[
        float | None,
        typer.Option(metavar="N", min=0, help="Slowest answer to one input (p50)."),
    ] = None,
    min_accuracy: Annotated[
        float | None,
        typer.Option(metavar="X", min=0, max=1, help="Least validation accuracy, 0 to 1."),
    ] = None,
    within: Annotated[
        float | None,
        typer.Option(metavar="X", min=0, max=1, help="Most below the teacher's accuracy."),
    ] = None,
    prefer: Annotated[
        str,
        typer.Option(metavar="WHAT", help="accuracy, params, latency or knee: what to be best at."),
    ] = "accuracy",
    ignore_constraints: Annotated[
        bool,
        typer.Option(
            "--ignore-constraints", help="Also students that miss the sweep's own constraints."
        ),
    ] = False,
    register: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Put it into MLflow's model registry, as a version of NAME."
        ),
    ] = None,
    alias: Annotated[
        str, typer.Option(metavar="NAME", help="With --register: what that version is called.")
    ] = ALIAS,
    tracking_uri: Annotated[
        str | None,
        typer.Option(
            metavar="URI", help="With --register: that MLflow, not the one of the sweep file."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Choose the best student that fits the limits, and say why.

    Every complete trial within the sweep's own constraints takes part, those off
    the front as well. A knee is where, along the front of what fits, a little more
    accuracy begins to cost much. Exit code 1 where none fits; it then says which
    limit to relax, and by how much.

    \b
    Examples:
      kdsweep select runs/digits --max-params 20000 --min-accuracy 0.9
      kdsweep select runs/digits --within 0.01 --prefer params
      kdsweep select runs/digits --prefer knee
      kdsweep select runs/digits --register digits
    """
    refuse_without_name(register, alias, tracking_uri)
    store = RunStore.open(run)
    results = read(store)
    found = choose(store, results, Asked(
        max_params=max_params, max_macs=max_macs, max_size_kb=max_size_kb,
        max_latency_ms=max_latency_ms, min_accuracy=min_accuracy, within=within,
        prefer=_preference(prefer), ignore_constraints=ignore_constraints,
    ))  # fmt: skip
    choice, facts, measured = found.choice, found.facts, found.measured
    if choice.chosen is not None:
        chosen = _with_weights_that_are_there(store, choice.chosen, tell=warn)
        others = (_with_weights_that_are_there(store, each) for each in choice.runners_up)
        choice = replace(choice, chosen=chosen, runners_up=tuple(others))
    shown = [each for each in (choice.chosen, *choice.runners_up) if each is not None]
    if measured is None and "latency_ms" in store.meta.objectives:
        measured = Measured(results, None, of_which_latency(store.directory, results), False)
    registered = None
    if register is not None and choice.chosen is not None:
        registered = register_chosen(
            store, choice, choice.chosen, name=register, alias=alias, tracking_uri=tracking_uri
        )
    if as_json:
        row = choice_row(choice, facts)
        if measured is not None:
            row["latency"] = {"note": measured.sentence, "shared": measured.shared(shown)}
        print_json({**row, "registered": registered} if registered else row)
    elif choice.chosen is not None:
        latency = [] if measured is None else measured.words(shown)
        if found.measured is not None:
            latency.insert(0, f"{value_text('latency_ms', choice.chosen.metrics['latency_ms'])} ms")
        _print_choice(store, choice, choice.chosen, facts, latency)
        _print_what_is_known_since(store, choice.chosen)
    else:
        _print_advice(store, choice, measured)
    if choice.chosen is None:
        raise typer.Exit(1)


def _preference(given: str) -> Prefer:
    for known in PREFERENCES:
        if given == known:
            return known
    raise ResultError(f"--prefer {given!r} is not allowed (allowed: {', '.join(PREFERENCES)})")


def _print_choice(
    store: RunStore, choice: Choice, chosen: TrialResult, facts: Facts, latency: Sequence[str]
) -> None:
    console = Console(highlight=False)
    console.print(trial_table(
        [chosen], store.meta.objectives,
        title="Chosen", width=console.width, examples=facts.examples,
    ))  # fmt: skip
    _print_fact("why", why(choice, facts))
    _print_facts("limits", limits_met(choice))
    _print_facts("latency", latency)
    if sentence := noise_sentence(choice, facts):
        _print_fact("noise", sentence)
    _print_block("Next best that fit", runner_up_lines(choice, facts))
    _print_block("On the front, but not within the limits", rejected_lines(choice))
    say("")
    if len(chosen.trial_ids) > 1:
        _print_fact("trials", " ".join(chosen.trial_ids))
    say(f"trial file  {store.trial_file(chosen.trial_id)}")
    if chosen.weights is not None:
        say(f"weights     {store.place}/{chosen.weights}")
    else:
        typer.echo("weights     none are kept; the trial file trains it again")


def _print_what_is_known_since(store: RunStore, chosen: TrialResult) -> None:
    """That the sweep still runs, and what confirmations say of the choice, which is not by them."""
    if store.is_held():
        say("still runs  what comes may be better: ask again when it has ended")
    # Of NumPy.
    from kdsweep.report.confirmed_sentences import confirmed_words
    from kdsweep.results.confirmations import best_first, confirmations_of

    try:
        found = best_first(confirmations_of(store))
    except ResultError as error:
        warn(f"{store.place}: its confirmations are left out: {error}")
        return
    for number, sentence in enumerate(confirmed_words(found, chosen.trial_ids)):
        _print_fact("" if number else "confirmed", sentence)


def _print_advice(store: RunStore, choice: Choice, measured: Measured | None) -> None:
    for sentence in [] if measured is None else measured.words(()):
        say("\n".join(wrapped_under(sentence)), err=True)
    say(f"no student of {store.meta.name} fits", err=True)
    for sentence in choice.advice:
        say("\n".join(wrapped_under(f"  {sentence}")), err=True)


def _print_fact(name: str, text: str) -> None:
    say("\n".join(wrapped_under(f"{name:12}{text}", indent=12 if name else 0)))


def _print_facts(name: str, sentences: Sequence[str]) -> None:
    for number, sentence in enumerate(sentences):
        _print_fact("" if number else name, sentence)


def _print_block(title: str, lines: list[str]) -> None:
    if lines:
        say(f"\n{title}")
        say("\n".join(line for each in lines for line in wrapped_under(f"  {each}")))


def _with_weights_that_are_there(
    store: RunStore, result: TrialResult, tell: Callable[[str], object] = lambda _: None
) -> TrialResult:
    """Those that are gone, or a link to who knows what, are not named; ``tell`` hears of them."""
    place = store.weights_of(result.trial_id)
    if result.weights is None or is_address(place):
        return result
    path = Path(place)
    if path.is_file() and not path.is_symlink():
        return result
    what = "is a link, which could lead anywhere" if path.is_symlink() else "is not there"
    tell(f"{path}: {what}")
    return result.model_copy(update={"weights": None})
