"""Warm start: trials of earlier sweeps, put into the sampler of a new one.

A trial counts if this sweep could have trained it: its resolved settings are a point of this space,
and all that the space does not vary is as in this sweep's own trial. So what was fixed then and
varies now has a value, and what varied then and is fixed now must have been as it is now.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kdsweep.errors import KdsweepError, ResultError, SpecError
from kdsweep.results.at_hand import run_at_hand
from kdsweep.results.damage import damage
from kdsweep.results.names import WARM_START_FILE
from kdsweep.results.places import read_own
from kdsweep.results.record import ENDED, TrialResult
from kdsweep.results.replicates import by_point
from kdsweep.results.store import RunStore
from kdsweep.search.bounds import objective_values
from kdsweep.search.earlier_rungs import estimated
from kdsweep.search.placing import Placing
from kdsweep.storage.atomic import write_bytes
from kdsweep.storage.copies import name_of
from kdsweep.sweep_file import Sweep
from kdsweep.train.changed import WARM_START, changed_since


class EarlierRun(BaseModel):
    """An earlier sweep, and what of it is of use here; points are counted, not their replicates."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    place: str
    name: str
    sweep_id: str
    used: int
    left_out: dict[str, int] = Field(default_factory=dict)
    """Why, in a clause -> how many."""

    @property
    def words(self) -> str:
        """``30 of 42 trials of digits; 12 left out: 12 with another train.epochs``."""
        num_out = sum(self.left_out.values())
        said = f"{self.used} of {self.used + num_out} trials of {self.name}"
        why = ", ".join(f"{num} {reason}" for reason, num in self.left_out.items())
        return f"{said}; left out: {why}" if why else said


class WarmStart(BaseModel):
    """What a sweep learns from earlier ones; kept in its run, so that it goes on without them."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    schema_version: Literal[1] = 1
    runs: tuple[EarlierRun, ...]
    data: str
    """The fingerprint of the data, the same in all of them."""
    teacher: str | None = None
    """The hash of the teacher, likewise; none where they had none."""
    trials: tuple[TrialResult, ...]
    """At points of this sweep's space, without their settings and epochs; of pruned ones the
    metrics that they are thought to have come to."""

    @property
    def expected(self) -> dict[str, str]:
        """What ``Session.prepare`` must find, in its terms."""
        found = {"data": self.data, WARM_START: ", ".join(run.place for run in self.runs)}
        return found if self.teacher is None else {**found, "teacher": self.teacher}

    @property
    def lines(self) -> list[str]:
        """What is told of each run."""
        return [f"warm start: {run.words}" for run in self.runs]


def warm_start_of(sweep: Sweep) -> WarmStart | None:
    """What ``sweep`` can learn from the runs that it names; ``None`` where it names none.

    Whether its data are theirs shows when they are read, on a lane; its teacher is compared here,
    if its weights are on this machine.

    Raises:
        SpecError: a run is missing, is of another teacher or of other data than the first, or none
            of its trials could be one of this sweep.
    """
    found: list[tuple[RunStore, EarlierRun, list[TrialResult]]] = []
    problems: list[str] = []
    for text in sweep.spec.search.warm_start:
        try:
            store = RunStore.open(run_at_hand(text))
            unlike = list(_unlike(sweep, store, found[0][0] if found else store))
            problems += unlike
            if unlike:
                continue
            run, trials = _of_use(sweep, store)
        except KdsweepError as error:
            problems += [f"search.warm_start: {line}" for line in str(error).splitlines()]
            continue
        if not trials:
            problems.append(f"search.warm_start: nothing can be learned from {run.place}: "
                            f"{run.words}")  # fmt: skip
        found.append((store, run, trials))
    if problems:
        raise SpecError(list(dict.fromkeys(problems)), source=sweep.path)
    if not found:
        return None
    meta = found[0][0].meta
    return WarmStart(
        runs=tuple(run for _, run, _ in found),
        data=meta.data_fingerprint or "",
        teacher=None if meta.teacher is None else meta.teacher.hash,
        trials=tuple(trial for _, _, trials in found for trial in trials),
    )


def kept_warm_start(directory: Path) -> WarmStart | None:
    """What a run has kept of the sweeps that it learned from; ``None`` if it has kept nothing.

    Raises:
        ResultError: it cannot be read, or is damaged.
    """
    path = directory / WARM_START_FILE
    try:
        return WarmStart.model_validate_json(read_own(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ResultError(f"cannot be read: {error}", source=name_of(path)) from error
    except ValidationError as error:
        raise ResultError(
            f"{damage(error)}; remove it, and the runs that search.warm_start names are read again",
            source=name_of(path),
        ) from error


def warm_start_again(sweep: Sweep, store: RunStore, *, changed: bool) -> WarmStart | None:
    """What a sweep goes on with: what its run has kept, or else what it names.

    A confirmation searches nothing, whatever the file of its sweep says.

    The earlier runs may be gone, or have gone on: what it began with counts, unless its file has
    ``changed`` since.

    Raises:
        ResultError: see ``kept_warm_start``.
        SpecError: see ``warm_start_of``.
    """
    if store.meta.confirms is not None:
        return None
    is_kept = sweep.spec.search.warm_start and not changed
    return (kept_warm_start(store.directory) if is_kept else None) or warm_start_of(sweep)


def expected_of(warm: WarmStart | None) -> dict[str, str]:
    """What ``Session.prepare`` must find where there is a warm start, and else nothing."""
    return {} if warm is None else warm.expected


def keep(store: RunStore, warm: WarmStart) -> None:
    """Put a copy into the run.

    Raises:
        OSError: it cannot be written.
    """
    write_bytes(store.directory / WARM_START_FILE, warm.model_dump_json(indent=1).encode() + b"\n")
    store.sent(WARM_START_FILE)


def _unlike(sweep: Sweep, store: RunStore, first: RunStore) -> Iterator[str]:
    """Why what was learned in a run does not hold here; what lanes alone can tell is not asked."""
    meta, here = store.meta, sweep.spec.trial.teacher
    where = f"search.warm_start: {store.place}"
    if meta.data_fingerprint is None:
        yield (
            f"{where}: its data were never read, or varied, so nothing says that they are those of "
            "this sweep; take it out of warm_start"
        )
        return
    if (meta.teacher is None) != (here is None):
        there, ours = ("a teacher", "none") if here is None else ("no teacher", "one")
        yield f"{where}: has {there}, and this sweep has {ours}; take it out of warm_start"
        return
    if here is None and any(path.startswith("data") for path in _paths(sweep)):
        yield (
            f"{where}: this sweep varies its data and has no teacher, so that nothing says that "
            "they are the same; take it out of warm_start"
        )
        return
    of_first = first.meta
    if meta.data_fingerprint != of_first.data_fingerprint:
        yield f"{where}: its data are not those of {first.place}; name runs of the same data"
        return
    if meta.teacher and of_first.teacher and meta.teacher.hash != of_first.teacher.hash:
        yield f"{where}: its teacher is not that of {first.place}; name runs of the same teacher"
        return
    weights = None if here is None else here.weights
    # Those of a cluster may lie on its machines alone.
    if meta.teacher is not None and (weights is None or Path(weights).expanduser().is_file()):
        expected = {WARM_START: store.place, "teacher": meta.teacher.hash}
        yield from changed_since(expected, meta.data_fingerprint, here)


def _paths(sweep: Sweep) -> Iterator[str]:
    return (dimension.path for dimension in sweep.space.dimensions())


def _of_use(sweep: Sweep, store: RunStore) -> tuple[EarlierRun, list[TrialResult]]:
    """The trials of a run that this sweep can learn from, and why not from the others."""
    records = store.read()
    objectives = sweep.spec.objectives
    results = by_point(each for each in estimated(records, objectives) if each.role != "teacher")
    placing = Placing(sweep, records)
    trials, left_out = list[TrialResult](), list[str]()
    for result in results:
        placed = _no_result(result, sweep) or placing.placed(result)
        if isinstance(placed, TrialResult):
            trials.append(placed)
        else:
            left_out.append(placed)
    left_out += ["with a record that cannot be read"] * len(store.problems)
    meta = store.meta
    counted = Counter(placing.in_words(reason) for reason in left_out)
    run = EarlierRun(
        place=store.place, name=meta.name, sweep_id=meta.sweep_id, used=len(trials),
        left_out=dict(counted.most_common()),
    )  # fmt: skip
    return run, trials


def _no_result(result: TrialResult, sweep: Sweep) -> str:
    if result.status not in ENDED:
        return "that did not come to their end"
    if result.status == "failed" or objective_values(result, sweep.spec.objectives):
        return ""
    return f"without finite {' and '.join(sweep.spec.objectives)}"
