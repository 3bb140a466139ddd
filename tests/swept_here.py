"""A sweep file's first trials, trained in this process: what a run leaves behind, without Ray."""

import time
from pathlib import Path

import torch

from kdsweep.report.labels import trial_name
from kdsweep.results.record import TrialResult
from kdsweep.results.store import RunStore
from kdsweep.search.provenance import describe_run
from kdsweep.search.replicated import ReplicatedSampler
from kdsweep.search.searcher import key_of
from kdsweep.search.starts import starts
from kdsweep.search.teacher_record import teacher_meta, teacher_result
from kdsweep.search.trial_record import ended_with
from kdsweep.sweep_file import at, load, resolved
from kdsweep.train.loop import Verdict
from kdsweep.train.session import Session


def swept_here(file, *, name=None, runs_dir="runs", trials=5, epochs=None):
    """The store of the run of a sweep file, with as many of its trials as asked for.

    They are proposed, trained and written down by the parts that a sweep has; ``epochs`` shortens
    the training of students and of their teacher.
    """
    sweep = load(Path(file))
    meta = describe_run(sweep, name=name or sweep.spec.name, tracking_uri=None)
    runs = Path(runs_dir)
    store = RunStore.create(runs / meta.name, meta=meta, sweep_text=sweep.text)
    session = Session(device=torch.device("cpu"), teachers=(runs / "teachers").resolve())
    sampler = ReplicatedSampler(sweep, starts(sweep), sizes_of=sweep.sizes_of)
    began, results = time.time(), []
    while len(results) < trials and (proposal := sampler.ask()) is not None:
        seed = {"seed": sweep.spec.trial.seed + proposal.replicate}
        trial = at(sweep.spec.trial, {**proposal.assignment.changes, **seed})
        if epochs is not None:
            trial = _shortened(trial, epochs)
        result = _trained(proposal, trial, session, store)
        sampler.tell(proposal.number, result)
        results.append(result)
    store.update_meta(
        status="complete",
        trials=len(results),
        wall_seconds=time.time() - began,
        student_epochs=sum(len(result.epochs) for result in results),
    )
    return store


def _trained(proposal, trial, session, store):
    whole, key = resolved(trial), key_of(proposal.number)
    epochs = []

    def report(epoch):
        epochs.append(epoch)
        return Verdict.CONTINUE

    weights = store.weights_of(key)
    weights.parent.mkdir(parents=True)
    outcome = session.run(trial, report, weights=weights)
    assert outcome.status == "complete", outcome.error
    plain = outcome.plain()
    for card in plain["teachers"]:
        store.write(teacher_result(card, trial))
        if card["teacher"] == "teacher":
            store.update_meta(teacher=teacher_meta(card).model_dump())
    begun = TrialResult(
        trial_id=key,
        number=proposal.number,
        point=proposal.number // proposal.replicates,
        replicate=proposal.replicate,
        replicates=proposal.replicates,
        role=proposal.role,
        status="running",
        name=trial_name(whole, proposal.assignment.params),
        trial=whole,
        changes=proposal.assignment.changes,
        params=proposal.assignment.params,
        epochs=tuple(epochs),
        lane="lane-000",
    )
    result = ended_with(begun, plain, weights=RunStore.weights_name(key))
    store.write(result)
    return result


def _shortened(trial, epochs):
    def fewer(train):
        return train.model_copy(update={"epochs": min(epochs, train.epochs)})

    teacher = trial.teacher
    if teacher is not None and teacher.weights is None:
        teacher = teacher.model_copy(update={"train": fewer(teacher.training)})
    return trial.model_copy(update={"train": fewer(trial.train), "teacher": teacher})
