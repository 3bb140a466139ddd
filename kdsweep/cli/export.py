"""``kdsweep export``: a student as files that run without kdsweep."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kdsweep.cli.reading import RunArgument, read
from kdsweep.cli.saying import meanwhile, say, warn
from kdsweep.cli.wrapped import wrapped_under
from kdsweep.errors import ResultError
from kdsweep.results.called import point_of, trial_called
from kdsweep.results.pareto import front
from kdsweep.results.record import TrialResult
from kdsweep.results.select import select
from kdsweep.results.store import RunStore


def export(
    run: RunArgument,
    trial: Annotated[
        str | None,
        typer.Argument(
            metavar="TRIAL",
            show_default=False,
            help="Number or id; else the most accurate one of the front.",
        ),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            metavar="safetensors|onnx|pt2",
            show_default=False,
            help="Repeat it for several [default: safetensors].",
        ),
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="ONNX, and an 8-bit twin beside it.")
    ] = False,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            show_default=False,
            help="The folder to make [default: in RUN/export].",
        ),
    ] = None,
    licence: Annotated[
        str, typer.Option(metavar="TEXT", help="What the model card says of it.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace an export.")] = False,
    threads: Annotated[
        int, typer.Option(metavar="N", min=1, help="Of the processor, to time it with.")
    ] = 1,
) -> None:
    """Write a student as files that run without kdsweep.

    Beside the network: the trial file that makes it again, and a model card
    (README.md, card.json) with its metrics, what goes in and how to load it.
    Pixels go in as they are: the normalisation becomes a part of the network.

    Each file is loaded back and must give what the student gives on the whole
    validation split; else nothing is written, and the exit code is 2.

    \b
    Examples:
      kdsweep export runs/digits
      kdsweep export runs/digits 17 --format onnx --int8 --out digits-onnx
      kdsweep export runs/digits 00017 --format safetensors --format pt2
    """
    if out is not None and not out.strip():
        raise ResultError("--out is empty: name the folder to make, or leave it out")
    store = RunStore.open(run)
    results = read(store)
    result, point = _found(store, results, trial)
    meanwhile("loading PyTorch")
    import torch

    from kdsweep.export.card import notes
    from kdsweep.export.files import chosen_formats
    from kdsweep.export.folder import Asked, export_student

    chosen = chosen_formats(formats or (), int8=int8)
    torch.set_num_threads(threads)
    where = None if out is None else Path(out)
    asked = Asked(chosen, int8=int8, out=where, licence=licence, force=force, point=point)
    made = export_student(store, result, asked, tell=lambda step: _say(step, err=True))
    _print_files(made.card)
    for note in notes(made.card):
        _say(note)
    if not licence:
        warn("no licence is stated in the model card: --licence TEXT does")
    say(f"written to {made.folder}")
    say("README.md in it says how to load it")


def _say(sentence: str, *, err: bool = False) -> None:
    say("\n".join(wrapped_under(sentence)), err=err)


def _found(
    store: RunStore, results: list[TrialResult], trial: str | None
) -> tuple[TrialResult, TrialResult | None]:
    """The trial that is asked for, and its point where it is one of several there."""
    if trial is not None:
        found = trial_called(results, trial)
        return found, point_of(results, found)
    meta = store.meta
    best = select(front(results, meta.objectives, constraints=meta.constraints), meta.objectives)
    if best.chosen is None:
        raise ResultError("nothing is on the front yet: name a trial", source=store.place)
    _say(
        f"trial {best.chosen.number} ({best.chosen.label}), the most accurate of the front "
        "(`kdsweep select` chooses by other limits)"
    )
    return best.chosen, None


def _print_files(card: object) -> None:
    from rich import box
    from rich.table import Table

    from kdsweep.export.card import Card
    from kdsweep.export.speed import here

    assert isinstance(card, Card)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("file", "bytes", "accuracy", "p50 ms", "p95 ms", "off by"):
        table.add_column(title, justify="left" if title == "file" else "right")
    table.add_row("the student itself", "", f"{card.quality.accuracy:.2%}", "", "", "", style="dim")
    for each in card.written:
        one = each.latency[0]
        table.add_row(
            each.name, f"{each.num_bytes:,}", f"{each.quality.accuracy:.2%}",
            f"{one.p50_ms:.4g}", f"{one.p95_ms:.4g}", f"{each.agreement.max_difference:.2g}",
        )  # fmt: skip
    Console(highlight=False).print(table)
    threads = here(card.written[0].latency).threads
    _say(
        f"ms: one input at a time, on the CPU with {threads} thread{'s' * (threads > 1)}. off by: "
        "the largest difference of a logit to the student's own."
    )
