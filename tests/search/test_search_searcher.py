"""Ray Tune's view of the search: jobs for lanes, and what came of them; no Ray is started."""

import json
import pickle
import uuid

import pytest
from ray.tune import Trainable
from ray.tune.search import Searcher
from search_sweeps import changed, epoch, replicated_of

from kdsweep.errors import SpecError
from kdsweep.results.meta import RunMeta
from kdsweep.results.store import RunStore
from kdsweep.search import searcher as searcher_module
from kdsweep.search.budget import Budget
from kdsweep.search.journal import Journal
from kdsweep.search.rungs import Rungs
from kdsweep.search.searcher import TEACHER_KEY, FrontSearcher
from kdsweep.search.trainable import LaneTrial
from kdsweep.spec import TrialSpec
from kdsweep.spec.sweep import Bound, BudgetSpec
from kdsweep.spec.trial import PerRung


class Silent:
    """A display that shows nothing."""

    def __getattr__(self, name):
        return lambda *given: None


@pytest.fixture
def scene(tmp_path, conditional):
    """A searcher of three trials, and the store of its run."""
    return searcher_of(changed(conditional, search={"trials": 3}), tmp_path)


def searcher_of(sweep, tmp_path, **given):
    """A searcher, its sampler, and the store of a new run."""
    meta = RunMeta(
        sweep_id=uuid.uuid4().hex, name="run", created="2026-11-21T10:00:00+00:00",
        objectives=sweep.spec.objectives,
    )  # fmt: skip
    store = RunStore.create(tmp_path / "run", meta=meta, sweep_text="")
    sampler, search, given_up = replicated_of(sweep, **given), sweep.spec.search, []
    searcher = FrontSearcher(
        sweep, sampler, Journal(store, Silent(), None), store,
        rungs=Rungs(sweep.spec.objectives, eta=3),
        budget=Budget(search.budget, cost_per_hour=None), board="board", namespace="kdsweep",
        on_refusal=given_up.append,
    )  # fmt: skip
    searcher.given_up = given_up
    return searcher, sampler, store


def job_of(config):
    """What a lane is handed."""
    return json.loads(config["job"])


def told(key, status="complete", *, epochs=(), **more):
    """A last result as Tune passes it on."""
    outcome = {"status": status, "metrics": {"accuracy": 0.5, "params": 10.0}, **more}
    return {
        "key": key, "epochs": [each.model_dump() for each in epochs], "lane": "lane-000",
        "outcome": json.dumps(outcome), "done": True, "interruptions": [], "resumed_after": 0,
    }  # fmt: skip


def test_a_suggestion_is_a_job_for_a_lane(scene):
    searcher, _, store = scene
    config = searcher.suggest("tune-1")
    job = job_of(config)
    assert (config["board"], config["namespace"]) == ("board", "kdsweep")
    assert (job["key"], job["kind"]) == ("00000", "trial")
    assert job["weights"] == str(store.weights_of("00000"))
    trial = TrialSpec.model_validate(job["trial"])
    assert trial.strategy.name == "none"
    assert store.read()[0].trial == job["trial"]


def test_only_trials_that_learn_from_the_teacher_come_after_it(scene):
    searcher, _, _ = scene
    jobs = [job_of(searcher.suggest(f"tune-{n}")) for n in range(2)]
    assert [job["trial"]["strategy"]["name"] for job in jobs] == ["none", "kd"]
    assert [job.get("after") for job in jobs] == [None, TEACHER_KEY]


def test_the_search_goes_on_to_its_end(scene):
    searcher, sampler, store = scene
    for number in range(5):
        assert job_of(searcher.suggest(f"tune-{number}"))["key"] == f"{number:05d}"
        searcher.on_trial_result(f"tune-{number}", told(f"{number:05d}", epochs=[epoch(1)]))
        searcher.on_trial_complete(f"tune-{number}", told(f"{number:05d}", epochs=[epoch(1)]))
    assert searcher.suggest("tune-5") == Searcher.FINISHED
    assert sampler.exhausted
    results = store.read()
    assert [(r.trial_id, r.status, r.lane) for r in results] == [
        (f"{number:05d}", "complete", "lane-000") for number in range(5)
    ]
    assert all(r.epochs == (epoch(1),) for r in results)
    assert [r.role for r in results] == ["control"] * 2 + ["trial"] * 3


def test_a_search_that_ends_early_says_so_once(conditional, tmp_path):
    sweep = changed(
        conditional, search={"sampler": "random", "trials": 3}, constraints={"macs": Bound(max=1)}
    )
    searcher, _, store = searcher_of(sweep, tmp_path, sizes_of=lambda changes: {"macs": 2.0})
    said = []
    searcher._journal.progress.message = said.append
    for number in range(2):
        searcher.suggest(f"tune-{number}")
    assert [searcher.suggest("tune-2") for _ in range(2)] == [Searcher.FINISHED] * 2
    assert said == [
        "warning: the search ends after 0 of 3 trials: no new point was found whose student meets "
        "the constraints on its size; widen the space or the constraints"
    ]
    assert [result.role for result in store.read()] == ["control"] * 2


@pytest.mark.parametrize("status", ["failed", "stopped"])
def test_an_outcome_is_recorded_as_it_is(scene, status):
    searcher, _, store = scene
    searcher.suggest("tune-0")
    searcher.on_trial_complete("tune-0", told("00000", status, error="why"))
    (result,) = store.read()
    assert (result.status, result.error) == (status, "why")


@pytest.mark.parametrize(("closed", "status"), [(False, "failed"), (True, "stopped")])
def test_a_trial_that_tune_lost(scene, closed, status):
    searcher, _, store = scene
    searcher.suggest("tune-0")
    if closed:
        searcher.close()
    searcher.on_trial_complete("tune-0", None, error=True)
    (result,) = store.read()
    assert result.status == status
    assert result.error == "Ray Tune lost the trial's actor; see the logs of Ray"


def test_after_close_nothing_is_proposed(scene):
    searcher, _, store = scene
    searcher.close()
    assert searcher.suggest("tune-0") == Searcher.FINISHED
    assert store.read() == []


def test_a_combination_that_is_refused_is_recorded_and_the_next_one_suggested(scene, monkeypatch):
    searcher, _, store = scene
    at = searcher_module.at

    def picky(trial, changes):
        if changes == {} or changes["strategy"]["name"] == "none":
            raise SpecError("strategy: is not wanted")
        return at(trial, changes)

    monkeypatch.setattr(searcher_module, "at", picky)
    assert job_of(searcher.suggest("tune-0"))["key"] == "00001"
    refused, running = store.read()
    assert (refused.trial_id, refused.status) == ("00000", "failed")
    assert refused.error == "strategy: is not wanted"
    assert running.status == "running"


def test_a_full_batch_is_waited_for(scene, conditional):
    searcher, _, _ = scene
    sweep = changed(conditional, search={"trials": 3, "batch": 2})
    searcher._sampler = replicated_of(sweep)
    assert searcher.suggest("tune-0") is not None
    assert searcher.suggest("tune-1") is not None
    assert searcher.suggest("tune-2") is None
    for number in range(2):
        searcher.on_trial_complete(f"tune-{number}", told(f"{number:05d}"))
    assert job_of(searcher.suggest("tune-2"))["key"] == "00002"


@pytest.fixture
def replicated_scene(tmp_path, conditional):
    """As ``scene``, each point three times, the first seed 7."""
    trial = conditional.spec.trial.model_copy(update={"seed": 7})
    return searcher_of(
        changed(conditional, trial=trial, search={"trials": 3, "replicates": 3}), tmp_path
    )


def test_replicates_differ_in_their_seed_alone(replicated_scene):
    searcher, _, store = replicated_scene
    jobs = [job_of(searcher.suggest(f"tune-{number}")) for number in range(6)]
    assert [job["key"] for job in jobs] == [f"{number:05d}" for number in range(6)]
    assert [job["trial"]["seed"] for job in jobs] == [7, 8, 9] * 2
    for first in (0, 3):
        alike = [{**job["trial"], "seed": None} for job in jobs[first : first + 3]]
        assert alike == alike[:1] * 3
    records = store.read()
    assert [(r.point, r.replicate, r.replicates) for r in records] == [
        (0, 0, 3), (0, 1, 3), (0, 2, 3), (1, 0, 3), (1, 1, 3), (1, 2, 3),
    ]  # fmt: skip
    assert [r.trial["seed"] for r in records] == [7, 8, 9] * 2
    # What the search set is the same: the seed is none of it.
    assert [r.changes for r in records] == [records[0].changes] * 3 + [records[3].changes] * 3
    assert [r.changes["strategy"]["name"] for r in records[::3]] == ["none", "kd"]
    assert not any("seed" in r.changes for r in records)


def test_a_search_of_replicates_goes_on_to_its_end(replicated_scene):
    searcher, sampler, store = replicated_scene
    for number in range(15):
        assert job_of(searcher.suggest(f"tune-{number}"))["key"] == f"{number:05d}"
        searcher.on_trial_complete(f"tune-{number}", told(f"{number:05d}"))
    assert searcher.suggest("tune-15") == Searcher.FINISHED
    assert sampler.exhausted
    assert [r.role for r in store.read()] == ["control"] * 6 + ["trial"] * 9


def test_every_replicate_of_a_combination_that_is_refused_is_recorded(
    replicated_scene, monkeypatch
):
    searcher, _, store = replicated_scene
    at = searcher_module.at

    def picky(trial, changes):
        if changes["strategy"]["name"] == "none":
            raise SpecError("strategy: is not wanted")
        return at(trial, changes)

    monkeypatch.setattr(searcher_module, "at", picky)
    assert job_of(searcher.suggest("tune-0"))["key"] == "00003"
    assert [r.status for r in store.read()] == ["failed"] * 3 + ["running"]


def test_what_tune_pickles_of_it_is_nothing(scene):
    searcher, _, _ = scene
    assert pickle.loads(pickle.dumps(searcher)).__dict__ == {}  # noqa: S301


def test_a_tune_actor_that_goes_away_stops_no_trial():
    # Tune may start one actor too many for a trial, and remove it while another one listens.
    assert LaneTrial.cleanup is Trainable.cleanup


def with_rungs(conditional, **search):
    """The sweep with rungs at epochs 5 and 10 of 20."""
    train = conditional.spec.trial.train.model_copy(
        update={"epochs": 20, "schedule": PerRung(ends=(0.25, 0.5))}
    )
    trial = conditional.spec.trial.model_copy(update={"train": train})
    return changed(conditional, trial=trial, search={"trials": 30, **search})


def test_trials_have_rungs_and_controls_have_none(conditional, tmp_path):
    searcher, _, _ = searcher_of(with_rungs(conditional), tmp_path)
    jobs = [job_of(searcher.suggest(f"tune-{n}")) for n in range(4)]
    assert [job.get("rungs") for job in jobs] == [None, None, [5, 10], [5, 10]]


def test_no_rungs_where_they_are_switched_off(conditional, tmp_path):
    searcher, _, _ = searcher_of(with_rungs(conditional, rungs=None), tmp_path)
    jobs = [job_of(searcher.suggest(f"tune-{n}")) for n in range(4)]
    assert [job.get("rungs") for job in jobs[2:]] == [[], []]


def test_a_pruned_trial_is_told_with_what_it_would_have_come_to(conditional, tmp_path):
    searcher, sampler, store = searcher_of(with_rungs(conditional), tmp_path)
    for n in range(4):
        searcher.suggest(f"tune-{n}")
    epochs = [epoch(n).model_copy(update={"accuracy": n / 100}) for n in range(1, 21)]
    whole = told("00002", epochs=epochs, metrics={"accuracy": 0.2, "params": 10.0})
    searcher.on_trial_complete("tune-2", whole)
    rung = {"accuracy": 0.05, "params": 20.0}
    cut = told("00003", "pruned", epochs=epochs[:5], metrics=rung, error="why")
    searcher.on_trial_complete("tune-3", cut)
    heard = [t for t in sampler._sampler._study._study.trials if t.values is not None]
    # 0.05 at its rung, and 0.15 that the other has gained since.
    assert [t.values[0] for t in heard] == pytest.approx([0.2, 0.2])
    assert [t.user_attrs.get("pruned_at_epoch") for t in heard] == [None, 5]
    pruned = store.read()[3]
    assert (pruned.status, pruned.error) == ("pruned", "why")
    assert pruned.metrics["accuracy"] == 0.05
    assert [each.trial_id for each in searcher._journal.front] == ["00002"]


def test_epochs_are_set_aside_and_given_back(conditional, tmp_path):
    sweep = with_rungs(conditional, budget={"epochs": 65})
    searcher, _, _ = searcher_of(sweep, tmp_path)
    for n in range(3):
        assert job_of(searcher.suggest(f"tune-{n}"))["key"] == f"{n:05d}"
    # 60 of 65 are taken; what runs may give some back.
    assert searcher.suggest("tune-3") is None
    epochs = [epoch(n) for n in range(1, 6)]
    searcher.on_trial_complete("tune-2", told("00002", "pruned", epochs=epochs))
    assert job_of(searcher.suggest("tune-3"))["key"] == "00003"
    assert searcher.suggest("tune-4") is None
    for n in (0, 1, 3):
        searcher.on_trial_complete(f"tune-{n}", told(f"{n:05d}", epochs=[epoch(1)]))
    # 8 are spent: there is room again, and at the end for nothing more.
    for n in (4, 5):
        assert job_of(searcher.suggest(f"tune-{n}"))["key"] == f"{n:05d}"
        whole = [epoch(m) for m in range(1, 21)]
        searcher.on_trial_complete(f"tune-{n}", told(f"{n:05d}", epochs=whole))
    assert searcher.suggest("tune-6") == Searcher.FINISHED
    assert searcher.ended_by == ("of the budget of epochs 17 are left, too few for the next trial")


def test_a_record_that_cannot_be_written_ends_the_search(scene, monkeypatch):
    searcher, _, store = scene
    searcher.suggest("tune-0")
    monkeypatch.setattr(store, "write", no_room)
    assert searcher.suggest("tune-1") == Searcher.FINISHED
    searcher.on_trial_complete("tune-0", told("00000", epochs=[epoch(1)]))
    assert set(searcher.given_up) == {"[Errno 28] No space left on device: 'result.json'"}
    monkeypatch.undo()
    # As it was: it can be gone on with.
    assert [(r.trial_id, r.status) for r in store.read()] == [("00000", "running")]
    assert searcher.suggest("tune-2") == Searcher.FINISHED


def no_room(result):
    raise OSError(28, "No space left on device", "result.json")


def test_a_lane_without_room_ends_the_search_and_its_trial_is_not_failed(scene):
    searcher, _, store = scene
    searcher.suggest("tune-0")
    outcome = told("00000", "stopped", no_room=True, error="no space left")
    searcher.on_trial_complete("tune-0", outcome)
    assert searcher.given_up == ["no space left"]
    assert searcher.suggest("tune-1") == Searcher.FINISHED
    assert [r.status for r in store.read()] == ["stopped"]


def test_epochs_of_an_earlier_process_are_not_paid_for_twice(conditional, tmp_path):
    sweep = changed(conditional, search={"trials": 3, "budget": BudgetSpec(epochs=100)})
    searcher, _, store = searcher_of(sweep, tmp_path)
    searcher.suggest("tune-0")
    before = searcher._budget.spent.epochs
    searcher._journal._cut_short["00000"] = store.read()[0].model_copy(
        update={"epochs": (epoch(1), epoch(2))}
    )
    ended = told("00000", epochs=[epoch(n) for n in (1, 2, 3)])
    searcher.on_trial_complete("tune-0", ended | {"resumed_after": 2})
    assert searcher._budget.spent.epochs - before == 1
