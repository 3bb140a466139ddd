"""A sampler that is given the records of an earlier process."""

import math

import pytest
from optuna.trial import TrialState
from search_sweeps import ask_all, changed, result_of, sampler_of

from kdsweep.results.record import TrialResult
from kdsweep.search import sampler as sampler_module
from kdsweep.search.starts import starts


def as_read(result):
    """A record as it comes back from disk."""
    return TrialResult.model_validate_json(result.model_dump_json())


def first_records(sweep, number, *, status="complete"):
    """The records of the first trials of a sweep, and what was proposed."""
    sampler = sampler_of(sweep)
    proposals = []
    while len(proposals) < number:
        proposals.append(sampler.ask())
        sampler.tell(proposals[-1].number, result_of(proposals[-1]))
    return [as_read(result_of(p, status=status)) for p in proposals]


TEACHER = TrialResult(
    trial_id="teacher-0", number=0, role="teacher", status="complete", name="teacher", trial={},
    metrics={"accuracy": 0.9, "params": 1000.0},
)  # fmt: skip


@pytest.mark.parametrize("num_done", [0, 1, 2, 5, 11])
@pytest.mark.parametrize("name", ["tpe", "random", "grid"])
def test_numbers_go_on_and_the_total_is_the_same(conditional, name, num_done):
    sweep = changed(conditional, search={"sampler": name, "trials": 10})
    done = [TEACHER, *first_records(sweep, num_done)]
    rest = ask_all(sampler_of(sweep, done))
    assert [p.number for p in rest] == list(range(num_done, 12))
    roles = [r.role for r in done[1:]] + [p.role for p in rest]
    assert roles == ["control"] * 2 + ["trial"] * 10


def test_nothing_is_left_of_a_sweep_that_is_done(conditional):
    sweep = changed(conditional, search={"trials": 4})
    sampler = sampler_of(sweep, first_records(sweep, 6))
    assert sampler.exhausted
    assert sampler.ask() is None


@pytest.mark.parametrize("num_done", range(9))
def test_the_grid_is_completed_and_no_point_comes_twice(gridded, num_done):
    done = first_records(gridded, min(num_done, 8))
    rest = ask_all(sampler_of(gridded, done))
    points = [r.params for r in done if r.role == "trial"]
    points += [p.assignment.params for p in rest if p.role == "trial"]
    assert points == [point.params for point in gridded.space.grid(2)]
    assert [r.role for r in (*done, *rest)].count("control") == 2


@pytest.mark.parametrize("name", ["tpe", "random", "nsga2"])
def test_a_sampler_does_not_draw_again_what_it_drew_before(conditional, name):
    """A seed that starts afresh would propose the first trials a second time."""
    search = {"sampler": name, "trials": 16, "seed": 4}
    if name == "nsga2":
        search["population"] = 20  # all of the first generation: later ones inherit what is good
    sweep = changed(conditional, search=search)
    done = first_records(sweep, 9)
    rest = ask_all(sampler_of(sweep, done))
    rates = [r.params["train.lr"] for r in done[len(starts(sweep)) :]]
    rates += [p.assignment.params["train.lr"] for p in rest]
    assert len(set(rates)) == len(rates)


def test_nsga2_breeds_from_what_it_had_before(conditional, monkeypatch):
    made, create = [], sampler_module.optuna.create_study
    monkeypatch.setattr(
        sampler_module.optuna,
        "create_study",
        lambda **settings: made.append(create(**settings)) or made[-1],
    )
    sweep = changed(conditional, search={"sampler": "nsga2", "trials": 20, "population": 4})
    done = first_records(sweep, 14)
    ask_all(sampler_of(sweep, done))
    (key,) = made[-1].trials[0].system_attrs
    generations = [trial.system_attrs[key] for trial in made[-1].trials]
    # Fourteen are more than a generation of four: what comes next is the second one.
    assert generations[:18] == [0] * 14 + [1] * 4


def test_a_resumed_search_is_seeded_too(conditional):
    sweep = changed(conditional, search={"trials": 12, "seed": 4})
    done = first_records(sweep, 5)
    assert ask_all(sampler_of(sweep, done)) == ask_all(sampler_of(sweep, done))


@pytest.mark.parametrize("status", ["stopped", "running"])
@pytest.mark.parametrize("name", ["tpe", "random", "grid"])
def test_what_was_cut_short_runs_again_as_it_was_and_first(conditional, name, status):
    sweep = changed(conditional, search={"sampler": name, "trials": 8})
    done = first_records(sweep, 7)
    cut = {1, 4, 6}
    done = [r.model_copy(update={"status": status}) if r.number in cut else r for r in done]
    rest = ask_all(sampler_of(sweep, done))
    assert [p.number for p in rest] == [1, 4, 6, 7, 8, 9]
    for proposal in rest[:3]:
        before = done[proposal.number]
        assert proposal.role == before.role
        assert proposal.assignment.params == before.params
        assert proposal.assignment.changes == before.changes
    for proposal in rest[3:]:
        assert proposal.assignment.params not in [result.params for result in done]


def test_the_study_knows_the_earlier_results_as_they_ended(conditional, monkeypatch):
    made, create = [], sampler_module.optuna.create_study
    monkeypatch.setattr(
        sampler_module.optuna,
        "create_study",
        lambda **settings: made.append(create(**settings)) or made[-1],
    )
    sweep = changed(conditional, search={"trials": 8})
    done = first_records(sweep, 6)
    failed = done[3].model_copy(update={"status": "failed"})
    unmeasured = done[4].model_copy(update={"metrics": {"accuracy": math.nan, "params": 1.0}})
    made.clear()
    sampler_of(sweep, [TEACHER, *done[:3], failed, unmeasured, done[5]])
    complete, fail = TrialState.COMPLETE, TrialState.FAIL
    (study,) = made
    assert [t.state for t in study.trials] == [complete, complete, complete, fail, fail, complete]
    assert [t.params for t in study.trials] == [r.params for r in done]
    assert study.trials[5].values == [
        done[5].metrics["accuracy"],
        math.log(done[5].metrics["params"]),
    ]
    assert [t.user_attrs["trial_id"] for t in study.trials] == [f"{n:05d}" for n in range(6)]


def test_batches_go_on_over_a_resume(conditional):
    sweep = changed(conditional, search={"trials": 8, "batch": 3})
    done = first_records(sweep, 3)
    sampler = sampler_of(sweep, done)
    batch = [sampler.ask() for _ in range(3)]
    assert [p.number for p in batch] == [3, 4, 5]
    assert sampler.ask() is None
