"""What ``confirm`` works out before it trains: who, with which seeds, held against whom."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from kdsweep.cli.as_begun import from_where_it_was_started, refuse_another_teacher
from kdsweep.cli.early import checked_name, checking, refuse_place
from kdsweep.cli.reading import read
from kdsweep.cli.run import at_address, drive, tracking_uri
from kdsweep.cli.saying import say, warn
from kdsweep.errors import ResultError
from kdsweep.results.names import SWEEP_FILE
from kdsweep.results.store import RunStore
from kdsweep.storage.copies import name_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from kdsweep.results.chosen import ToConfirm
    from kdsweep.results.confirms import Confirms
    from kdsweep.results.meta import RunMeta
    from kdsweep.sweep_file import Sweep


def chosen_students(store: RunStore, top: int, trials: str | None) -> "ToConfirm":
    """The students that are confirmed; what is left out is said.

    Raises:
        ResultError: the sweep is running, or has no such students.
    """
    from kdsweep.results.chosen import best_of_front, named_trials
    from kdsweep.results.holder import refuse_if_held
    from kdsweep.results.places import refuse_links

    refuse_links(store.directory)
    refuse_if_held(store.directory)
    results, meta = read(store), store.meta
    if meta.status != "complete":
        ended = "has no driver any more" if meta.status == "running" else f"is {meta.status}"
        warn(
            f"{store.place}: {ended} and not complete: what is confirmed is of what it has trained "
            f"so far (`kdsweep resume {store.place}` goes on with it)"
        )
    try:
        if trials is None:
            chosen = best_of_front(results, meta, top)
        else:
            chosen = named_trials(results, [each.strip() for each in trials.split(",")])
    except ResultError as error:
        raise ResultError(error.problems, source=store.place) from None
    return chosen


def name_of_confirmation(store: RunStore, given: str | None) -> str:
    """The name of the new run, which lies beside the sweep's.

    Raises:
        ResultError: something is there already.
        SpecError: no run can have that name.
    """
    from itertools import count

    root = store.directory.absolute().parent
    own = f"{store.directory.absolute().name}-confirm"
    numbered = (own if n == 1 else f"{own}-{n}" for n in count(1))
    name = given or next(each for each in numbered if not (root / each).exists())
    refuse_place(store.directory.parent, checked_name(name), elsewhere=False)
    return name


def made_ready(
    store: RunStore,
    chosen: "ToConfirm",
    name: str,
    num_seeds: int,
    *,
    with_validation: bool,
    own_controls: bool,
    address: str | None,
) -> "Callable[[], None]":
    """Check all of it and say what will be trained; gives what trains it."""
    path = store.directory / SWEEP_FILE
    _refuse_another_file(store, path)
    checking(name_of(path))
    # Of torch, which takes seconds.
    from kdsweep.report.confirmed_sentences import opened_before_words
    from kdsweep.search.provenance import (
        ONLY_WHAT_WAS_SWEPT,
        describe_run,
        what_must_not_change,
    )
    from kdsweep.sweep_file import check_room, load

    with from_where_it_was_started(store):
        sweep = at_address(load(path), address)
    check_room(sweep)
    expected = {**what_must_not_change(store), "advice": ONLY_WHAT_WAS_SWEPT}
    refuse_another_teacher(sweep, expected, store.place)
    confirms = _confirms(
        store, sweep, chosen, num_seeds, with_validation=with_validation, own_controls=own_controls
    )
    for sentence in chosen.remarks:
        say(sentence)
    say(_what_it_trains(confirms, sweep))
    for sentence in opened_before_words(confirms.opened_before):
        warn(sentence)
    root = store.directory.parent
    described = describe_run(sweep, name=name, tracking_uri=tracking_uri(sweep, root))
    meta = _of_confirmation(described, confirms, store.meta)

    def create() -> RunStore:
        return RunStore.create(root / name, meta=meta, sweep_text=sweep.text)

    return lambda: drive(sweep, meta, create, done=[], expected=expected)


def _refuse_another_file(store: RunStore, path: Path) -> None:
    digest = hashlib.sha256(store.sweep_text.encode()).hexdigest()
    if digest != (store.meta.sweep_sha256 or digest):
        raise ResultError(
            "the sweep file has changed since the sweep began: put it back: only what was swept "
            "can be confirmed",
            source=name_of(path),
        )


def _confirms(
    store: RunStore,
    sweep: "Sweep",
    chosen: "ToConfirm",
    num_seeds: int,
    *,
    with_validation: bool,
    own_controls: bool,
) -> "Confirms":
    from kdsweep.results.confirmations import openings
    from kdsweep.results.confirms import Confirms
    from kdsweep.sweep_file.confirming import points_to_confirm, refuse_validation

    points, controls = points_to_confirm(
        sweep, chosen.students, chosen.controls, own_controls=own_controls
    )
    if with_validation:
        refuse_validation(sweep, points[: len(chosen.students)])
    return Confirms(
        sweep_id=store.meta.sweep_id,
        run=store.directory.absolute().name,
        seeds=_fresh_seeds(store, sweep, num_seeds),
        points=points,
        controls=controls,
        with_validation=with_validation,
        opened_before=openings(store),
    )


def _of_confirmation(meta: "RunMeta", confirms: "Confirms", sweep: "RunMeta") -> "RunMeta":
    """The meta data of a run that searches nothing, and whose data and teacher are known."""
    teacher = sweep.teacher
    if teacher is not None:
        teacher = teacher.model_copy(update={"reused": True, "seconds": 0.0})
    return meta.model_copy(
        update={
            "confirms": confirms,
            "sampler": "none",
            "trials": confirms.num_trials,
            "replicates": len(confirms.seeds),
            "teacher": teacher,
            "data_fingerprint": sweep.data_fingerprint,
            "examples": sweep.examples,
        }
    )


def _fresh_seeds(store: RunStore, sweep: "Sweep", num: int) -> tuple[int, ...]:
    """Seeds that neither the sweep nor an earlier confirmation of it has trained with."""
    from kdsweep.results.confirmations import confirming
    from kdsweep.results.confirms import fresh_seeds

    used = {int(result.trial.get("seed", 0)) for result in store.read()}
    for _, earlier in confirming(store):
        used |= set(earlier.seeds)
    return fresh_seeds(used, num, first=sweep.spec.trial.seed)


def _what_it_trains(confirms: "Confirms", sweep: "Sweep") -> str:
    """``5 students, 2 controls of the sweep, 4 of their own, 5 seeds each: 55 trainings of ...``.

    A control that is one of the students counts as that.
    """
    from kdsweep.report.labels import num_words
    from kdsweep.sweep_file.confirming import trial_of

    kinds = [point.kind for point in confirms.points]
    students, controls, own = (kinds.count(k) for k in ("student", "control", "own_control"))
    epochs = sum(trial_of(sweep, point).train.epochs for point in confirms.points)
    num, data = len(confirms.seeds), "the training data"
    if confirms.with_validation:
        data = "the training and the validation data"
    return (
        f"{num_words(students, 'student')}, {num_words(controls, 'control')} of the sweep, "
        f"{num_words(own, 'control')} of the students' own, {num} seeds each: "
        f"{confirms.num_trials} trainings, {num * epochs:,} epochs, on {data}"
    )
