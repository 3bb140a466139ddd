"""``kdsweep latency``: how long students take to answer, where nothing else runs."""

import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from kdsweep.cli.reading import JsonOption, RunArgument, print_json, read
from kdsweep.cli.saying import meanwhile, say, warn
from kdsweep.cli.wrapped import wrapped_under
from kdsweep.errors import ResultError, SpecError
from kdsweep.results.names import LATENCY_FILE
from kdsweep.results.pareto import front as front_of
from kdsweep.results.record import TrialResult
from kdsweep.results.store import RunStore

if TYPE_CHECKING:
    import torch

    from kdsweep.export.quiet import Timed


def measure(
    run: RunArgument,
    trials: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TRIAL]...", help="Trials by id or number; else the front."),
    ] = None,
    batch: Annotated[
        list[int] | None,
        typer.Option("--batch", min=1, max=65536, help="Inputs at a time; repeat it. [1, 32]"),
    ] = None,
    threads: Annotated[
        int, typer.Option("--threads", min=1, max=1024, help="Threads of torch on the CPU.")
    ] = 1,
    device: Annotated[
        str | None,
        typer.Option("--device", metavar="cpu|cuda", help="The GPU where there is one."),
    ] = None,
    despite_load: Annotated[
        bool,
        typer.Option("--despite-load", help="Measure where other work runs, and record that."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Time how long students take to answer, alone.

    What a trial measures is beside other lanes at work. This times the front,
    the controls and the teacher one after the other in this process: batches of
    1 and 32, warmed up, until blocks of runs agree. The numbers go into
    latency.json of the run, for each device, and select takes them from there.

    \b
    Examples:
      kdsweep latency runs/digits
      kdsweep latency runs/digits 7 12 --batch 1 --threads 4
    """
    store = RunStore.open(run)
    chosen = _chosen(store, read(store), trials or [])
    meanwhile("loading PyTorch")
    from kdsweep.export.quiet import time_students, why_not_quiet
    from kdsweep.models.latency import BATCHES
    from kdsweep.train.timing import turn_to_measure

    where = _device(device)
    batches = tuple(dict.fromkeys(batch or BATCHES))
    with turn_to_measure(), _threads(threads):
        busy = why_not_quiet(store.directory)
        if busy and not despite_load:
            raise ResultError(
                f"{'; '.join(busy)}: what is measured now is not what a user meets; wait until "
                "it has ended, or --despite-load measures all the same and records it",
                source=store.place,
            )
        for sentence in busy:
            warn(sentence)
        timed = time_students(
            store, chosen, device=where, batches=batches, busy=bool(busy),
            tell=lambda who: say("\n".join(wrapped_under(f"timing {who}")), err=True), warn=warn,
        )  # fmt: skip
        name = _keep(store, timed)
    _print(store, timed, name, as_json=as_json)


def _chosen(
    store: RunStore, results: Sequence[TrialResult], named: Sequence[str]
) -> list[TrialResult]:
    """The trials that are named, or the front and the controls, each once."""
    students = [result for result in results if result.role != "teacher"]
    if named:
        return list(
            {
                r.trial_id: r for r in (_named(students, name, store.place) for name in named)
            }.values()
        )
    meta = store.meta
    front = front_of(results, meta.objectives, constraints=meta.constraints)
    controls = [r for r in students if r.role == "control" and r.status == "complete"]
    chosen = list({result.trial_id: result for result in (*front, *controls)}.values())
    if not chosen:
        raise ResultError("has no complete trial yet", source=store.place)
    return chosen


def _named(students: Sequence[TrialResult], name: str, place: str) -> TrialResult:
    for result in students:
        if name == result.trial_id or (name.isdecimal() and int(name) == result.number):
            return result
    close = get_close_matches(name, [each.trial_id for each in students], n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise ResultError(
        f"no trial {name!r}{hint} (there are {len(students)}; `kdsweep front {place}` shows the "
        "ids of the best)",
        source=place,
    )


def _device(asked: str | None) -> "torch.device":
    import torch

    if asked not in (None, "cpu", "cuda"):
        raise SpecError(f"--device: {asked!r} is not allowed (allowed: cpu, cuda)")
    if asked == "cuda" and not torch.cuda.is_available():
        raise SpecError("--device: torch finds no GPU on this machine; use --device cpu")
    return torch.device(asked or ("cuda" if torch.cuda.is_available() else "cpu"))


@contextmanager
def _threads(num: int) -> Iterator[None]:
    """So many threads of torch inside; afterwards as many as there were."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(num)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _keep(store: RunStore, timed: "Sequence[Timed]") -> str:
    """Put what was measured into ``latency.json``; what the device is called there."""
    from kdsweep.results.latencies import OnDevice, device_name, read_latencies, write_latencies

    name = device_name(timed[0].latency)
    found = OnDevice(
        measured=datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
        host=platform.node(),
        teacher=next((each.latency for each in timed if each.result is None), None),
        students={t.result.trial_id: t.latency for t in timed if t.result is not None},
        shared_with={
            t.result.trial_id: t.shared_with
            for t in timed
            if t.result is not None and t.shared_with is not None
        },
    )
    # Read again: another may have measured on another machine meanwhile.
    write_latencies(store.directory, read_latencies(store.directory).with_device(name, found))
    store.sent(LATENCY_FILE)
    return name


def _print(store: RunStore, timed: "Sequence[Timed]", name: str, *, as_json: bool) -> None:
    from kdsweep.report.labels import student_label
    from kdsweep.report.latency_table import LatencyRow, latency_rows, latency_table

    rows = [
        LatencyRow(t.name, t.params, t.latency)
        if t.result is None
        else LatencyRow(
            student_label(t.result), t.params, t.latency, t.result.trial_id, t.shared_with
        )
        for t in timed
    ]
    teacher = next((row for row in rows if not row.trial), None)
    students = [row for row in rows if row.trial]
    if as_json:
        latency = timed[0].latency
        print_json(
            {
                "run": store.place,
                "device": latency.device,
                "threads": latency.threads,
                "busy": latency.busy,
                "networks": latency_rows(students, teacher),
            }
        )
        return
    Console(highlight=False).print(
        latency_table(students, teacher, title=f"{store.meta.name}: latency on {name}")
    )
    say(f"written to {store.place}/{LATENCY_FILE}")
