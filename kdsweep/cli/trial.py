"""``kdsweep trial``: one trial in this process, with one seed or several."""

import errno
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kdsweep.cli.saying import meanwhile, tell, warn
from kdsweep.results.at_hand import file_at_hand

if TYPE_CHECKING:
    from kdsweep.results.record import EpochMetrics
    from kdsweep.spec import TrialSpec
    from kdsweep.train.outcome import Outcome
    from kdsweep.train.session import Session

_LABEL = 17
"""Columns of what is told of an outcome, with the space behind it."""

FileArgument = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", parser=file_at_hand, help="A trial file, or a sweep file: its trial."
    ),
]


def trial(
    file: FileArgument,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Change a setting; may be repeated."),
    ] = None,
    seeds: Annotated[
        int,
        typer.Option(
            "--seeds", metavar="N", min=1, max=10_000, help="Train with so many seeds in turn."
        ),
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
    runs_dir: Annotated[
        str | None,
        typer.Option(
            "--runs-dir", metavar="PLACE", help="Where teachers are kept, as of `run`; runs."
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option("--weights", metavar="PATH", help="Write the student here (.safetensors)."),
    ] = None,
    threads: Annotated[
        int, typer.Option("--threads", metavar="N", min=1, help="Threads of torch on the CPU.")
    ] = 1,
) -> None:
    """Train one trial in this process, without Ray.

    Of a sweep file it takes the trial as written. Every trial of a sweep has its
    own trial file, which gives the same numbers again on the same machine. It
    runs on the GPU where there is one. --set takes paths as `space:` does, and
    values as YAML. Several seeds begin at the trial's own; each writes weights of
    its own (s-seed0.safetensors), and mean and deviation are reported.

    \b
    Examples:
      kdsweep trial search_spaces/digits.yaml
      kdsweep trial runs/digits/trials/00007/trial.yaml --weights s.safetensors
      kdsweep trial search_spaces/digits.yaml --set student.width=16 --seeds 3
    """
    from kdsweep.errors import SpecError

    if weights is not None and weights.suffix != ".safetensors":
        raise SpecError(f"--weights: {str(weights)!r} is not allowed: must end in .safetensors")
    if weights is not None and not os.access(weights.absolute().parent, os.W_OK):
        raise SpecError(f"--weights: nothing can be written into {weights.absolute().parent}")
    meanwhile("loading PyTorch")
    from kdsweep.sweep_file import load_trial, parse_settings

    spec = load_trial(file, parse_settings(settings or ()))
    if spec.seed + seeds > 2**31:
        raise SpecError(f"--seeds: {seeds} seeds from {spec.seed} on: the last must be below 2**31")
    session = _session(file, spec, runs_dir, threads)
    if told := _cut_short(file, spec):
        tell(told, err=as_json)
    outcomes, epochs = [], []
    for number in range(seeds):
        one = spec.model_copy(update={"seed": spec.seed + number})
        who = "" if seeds == 1 else f"seed {one.seed}, "
        outcome, seen = _train(session, one, file, _place(weights, one.seed, seeds), who, as_json)
        outcomes.append(outcome)
        epochs.append(seen)
    if as_json:
        print_outcomes_as_json(spec, outcomes, epochs)
    else:
        print_outcomes(spec, outcomes, weights)


def _session(file: Path, spec: "TrialSpec", runs_dir: str | None, threads: int) -> "Session":
    """A session whose teachers are beside the run of the file, where that is in a store."""
    import torch

    from kdsweep.errors import SpecError
    from kdsweep.results.at_hand import root_of
    from kdsweep.storage.copies import root_at_hand, teachers_in
    from kdsweep.sweep_file import problems_without_gpu
    from kdsweep.train.session import Session

    torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    problems = problems_without_gpu([spec]) if device.type == "cpu" else []
    if problems:
        raise SpecError(problems, source=file)
    root = root_of(file) if runs_dir is None else None
    return Session(device=device, teachers=teachers_in(root or root_at_hand(runs_dir or "runs")))


def _train(
    session: "Session", spec: "TrialSpec", file: Path, weights: Path | None, who: str, as_json: bool
) -> "tuple[Outcome, list[EpochMetrics]]":
    """Train it and say each epoch.

    Raises:
        TrialError: it failed, or there is no room for what it writes.
    """
    from kdsweep.errors import TrialError
    from kdsweep.spec.trial import called
    from kdsweep.train.loop import Verdict

    seen: list[EpochMetrics] = []
    show = _shown(err=as_json)

    def hear(epoch: "EpochMetrics") -> Verdict:
        seen.append(epoch)
        show(epoch, f"{who}epoch", spec.train.epochs)
        return Verdict.CONTINUE

    def hear_teacher(epoch: "EpochMetrics", name: str) -> Verdict:
        show(epoch, called(name), spec.all_teachers[name].training.epochs)
        return Verdict.CONTINUE

    try:
        outcome = session.run(spec, hear, weights=weights, on_teacher=hear_teacher)
    except _ReadNoFurtherError as error:
        raise BrokenPipeError(errno.EPIPE, "its output is read no further") from error
    for sentence in outcome.warnings:
        warn(sentence)
    if outcome.status == "failed" or outcome.no_room:
        failed = TrialError(f"{who}{outcome.error or 'the trial failed'}", source=file)
        if outcome.traceback:
            failed.add_note(outcome.traceback)
        raise failed
    return outcome, seen


class _ReadNoFurtherError(BaseException):
    """Nobody reads what is printed: no failure of the trial, which ends all the same."""


def _shown(*, err: bool) -> "Callable[[EpochMetrics, str, int], None]":
    from kdsweep.report.trial_line import epoch_words

    def show(epoch: "EpochMetrics", who: str, epochs: int) -> None:
        try:
            tell(f"{who} {epoch.epoch}/{epochs}: {epoch_words(epoch)}", err=err)
        except BrokenPipeError as error:
            raise _ReadNoFurtherError from error

    return show


def _cut_short(file: Path, spec: "TrialSpec") -> str | None:
    """That the trial of a sweep did not train to its end there, but will here."""
    from kdsweep.errors import ResultError
    from kdsweep.results.names import TRIAL_FILE
    from kdsweep.results.reading import read_record

    if file.name != TRIAL_FILE:
        return None
    directory = file.absolute().parent
    record = None
    # What else lies there is no matter of this command.
    with suppress(ResultError):
        record = read_record(directory.parent, directory.name)
    if record is None or record.status not in ("pruned", "stopped"):
        return None
    how = "ended at a rung" if record.status == "pruned" else "cut short"
    num = len(record.epochs)
    return (
        f"trial {record.number} was {how} after {num} epoch{'s' * (num != 1)} in its sweep; here "
        f"it trains all {spec.train.epochs}"
    )


def _place(weights: Path | None, seed: int, seeds: int) -> Path | None:
    from kdsweep.report.seeds import weights_of_seed

    return weights if weights is None or seeds == 1 else weights_of_seed(weights, seed)


def print_outcomes(spec: "TrialSpec", outcomes: "Sequence[Outcome]", weights: Path | None) -> None:
    """The metrics, of several seeds their mean and spread after those of each."""
    from kdsweep.report.seeds import measured_text, spread_lines

    for number, outcome in enumerate(outcomes) if len(outcomes) > 1 else ():
        found = _varying(outcome)
        said = ", ".join(f"{name} {measured_text(name, found[name])}" for name in found)
        _row(f"seed {spec.seed + number}", said)
    for card in outcomes[0].teachers:
        name = f"{card['teacher']}_accuracy"
        _row(name, measured_text(name, card["accuracy"]))
    for line in spread_lines([outcome.metrics for outcome in outcomes]):
        tell(line, _LABEL)
    if len(outcomes) > 1:
        _row("", f"mean ± standard deviation of {len(outcomes)} seeds")
    for way in dict.fromkeys(outcome.computed for outcome in outcomes):
        _row("computed", way)
    if weights is not None:
        for number in range(len(outcomes)):
            place = _place(weights, spec.seed + number, len(outcomes))
            _row("weights", str(place))


def _row(label: str, text: str) -> None:
    tell(f"{label:{_LABEL - 1}} {text}", _LABEL if label else 0)


def _varying(outcome: "Outcome") -> dict[str, float]:
    from kdsweep.report.rows import VARYING

    return {name: outcome.metrics[name] for name in VARYING if name in outcome.metrics}


def print_outcomes_as_json(
    spec: "TrialSpec",
    outcomes: "Sequence[Outcome]",
    epochs: "Sequence[Sequence[EpochMetrics]]",
) -> None:
    """Of one seed its outcome; of several each of them, and mean and deviation by metric."""
    from kdsweep.report.rows import finite_or_none
    from kdsweep.report.seeds import mean_and_deviation

    found: list[dict[str, Any]] = [
        {
            "seed": spec.seed + number,
            **outcome.plain(),
            "epochs": [epoch.model_dump(mode="json") for epoch in seen],
        }
        for number, (outcome, seen) in enumerate(zip(outcomes, epochs, strict=True))
    ]
    if len(found) == 1:
        typer.echo(json.dumps(found[0], indent=2))
        return
    spread = mean_and_deviation([outcome.metrics for outcome in outcomes])
    whole = {
        "seeds": [each["seed"] for each in found],
        "mean": {name: finite_or_none(mean) for name, (mean, _) in spread.items()},
        "std": {name: deviation for name, (_, deviation) in spread.items()},
        "trials": found,
    }
    typer.echo(json.dumps(whole, indent=2))


def register(app: typer.Typer) -> None:
    """Put the command of this file into the application."""
    app.command()(trial)
