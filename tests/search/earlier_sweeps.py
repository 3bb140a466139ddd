"""Runs of earlier sweeps for the tests of warm starts: their records, which nobody trained."""

from run_records import run_meta
from search_sweeps import CONDITIONAL, result_of, sampler_of

from kdsweep.results.meta import TeacherMeta
from kdsweep.results.store import RunStore
from kdsweep.sweep_file import at, load, resolved
from kdsweep.train.teacher_store import digest_of

DATA = "d" * 64


def written(directory, *changes, text=CONDITIONAL):
    """A sweep file, with pieces of its text replaced, as it is read."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path = directory / "sweep.yaml"
    path.write_text(text)
    return load(path)


def learning(directory, *changes, runs=("runs/old",), search="", text=CONDITIONAL):
    """The same with a warm start; ``runs`` lie below the working directory."""
    line = f"search: {{warm_start: [{', '.join(map(str, runs))}], {search}}}\n"
    return written(directory, *changes, text=text + line)


def as_trained(sweep, proposal, **more):
    """The record of a proposal with the trial that it was."""
    metrics = {key: more.pop(key) for key in list(more) if key in ("accuracy", "params")}
    result = result_of(proposal, **metrics)
    trial = resolved(at(sweep.spec.trial, proposal.assignment.changes))
    return result.model_copy(update={"trial": trial, **more})


def earlier(
    home, sweep, num=12, *, name="old", data=DATA, teacher=None, change=lambda r: r, **meta
):
    """A finished run of ``num`` trials of ``sweep``; ``change`` makes others of its records."""
    if teacher is None and sweep.spec.trial.teacher is not None:
        teacher = digest_of(sweep.spec.trial.teacher, data=data)
    given = {"data_fingerprint": data, **meta}
    if teacher is not None:
        given["teacher"] = TeacherMeta(hash=teacher)
    store = RunStore.create(
        home / "runs" / name, meta=run_meta(name, **given), sweep_text=sweep.text
    )
    sampler, results = sampler_of(sweep), []
    while len(results) < num and (proposal := sampler.ask()) is not None:
        result = as_trained(sweep, proposal)
        sampler.tell(proposal.number, result)
        results.append(result if change is None else change(result))
    for result in results:
        store.write(result)
    return store, results
