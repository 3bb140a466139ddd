"""Which trials of earlier sweeps a new one can learn from, and why not from others."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
from earlier_sweeps import DATA, as_trained, earlier, learning, written
from run_records import run_meta
from search_sweeps import SMALL_GRID, epoch

from kdsweep.errors import ResultError, SpecError
from kdsweep.results.store import RunStore
from kdsweep.search.sampler import Proposal
from kdsweep.search.warm_start import (
    EarlierRun,
    expected_of,
    keep,
    kept_warm_start,
    warm_start_again,
    warm_start_of,
)
from kdsweep.spec import Assignment
from kdsweep.train.changed import WARM_START, changed_since

NO_TEACHER = (
    "  teacher: {model: {name: cnn, width: 8, stages: 2}, train: {epochs: 1}}\n", "",
), ("strategy: {name: kd, temperature: 2.0, alpha: 0.5}", "strategy: none"), (
    """      - {name: kd, temperature: {loguniform: [1, 20]}, alpha: {uniform: [0, 1]}}
      - {name: fitnet, weight: {loguniform: [0.01, 10]}}
""", "      - {name: self_distillation}\n",
)  # fmt: skip


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def old(home, conditional):
    """The records of a finished run of twelve trials, two of them controls."""
    return earlier(home, conditional)[1]


def refused(sweep):
    with pytest.raises(SpecError) as error:
        warm_start_of(sweep)
    assert error.value.source == str(sweep.path)
    return error.value.problems


def test_without_the_key_nothing_is_looked_for(home, conditional):
    assert warm_start_of(conditional) is None


def test_all_trials_of_the_same_sweep_are_of_use_where_they_lie(home, old):
    warm = warm_start_of(learning(home))
    # The control that does not distil lies in the space as well, and so does plain kd.
    assert [each.trial_id for each in warm.trials] == [result.trial_id for result in old]
    for found, result in zip(warm.trials, old, strict=True):
        assert found.metrics == result.metrics
        if result.params:
            assert (found.params, found.changes) == (result.params, result.changes)
    assert warm.trials[0].params == {
        "student.width": 4, "student.hidden": 12, "train.lr": 1e-3, "strategy": "none"
    }  # fmt: skip
    (run,) = warm.runs
    assert (run.used, run.left_out, run.name) == (12, {}, "old")
    assert run.words == "12 of 12 trials of old"
    assert warm.lines == ["warm start: 12 of 12 trials of old"]
    assert warm.expected["data"] == DATA
    assert warm.expected[WARM_START] == str(home / "runs" / "old")


def test_what_was_fixed_has_the_value_of_then(home, old):
    sweep = learning(home, ("space:", "space:\n  train.batch_size: {int: [64, 256]}"))
    warm = warm_start_of(sweep)
    assert len(warm.trials) == 12
    assert {trial.params["train.batch_size"] for trial in warm.trials} == {128}
    assert all(trial.changes["train.batch_size"] == 128 for trial in warm.trials)


def test_what_was_fixed_at_a_value_out_of_range_leaves_nothing_to_learn(home, old):
    sweep = learning(home, ("space:", "space:\n  train.batch_size: {int: [200, 256]}"))
    assert refused(sweep) == (
        f"search.warm_start: nothing can be learned from {home / 'runs' / 'old'}: 0 of 12 trials "
        "of old; left out: 12 outside of the space in train.batch_size",
    )


def test_what_varied_must_have_been_as_it_is_now(home, old):
    sweep = learning(home, ("  student.width: {choice: [2, 4, 8]}\n", ""))
    warm = warm_start_of(sweep)
    as_now = [result for result in old if result.trial["student"]["width"] == 4]
    assert 0 < len(as_now) < 12
    assert [each.trial_id for each in warm.trials] == [each.trial_id for each in as_now]
    assert all("student.width" not in trial.params for trial in warm.trials)
    others = {result.trial["student"]["width"] for result in old} - {4}
    there = f"{others.pop()}, " if len(others) == 1 else ""
    assert warm.runs[0].left_out == {
        f"with another student.width ({there}here 4)": 12 - len(as_now)
    }


def test_a_trial_that_lies_outside_of_a_range_is_left_out(home, old):
    sweep = learning(home, ("loguniform: [1.0e-4, 1.0e-1]", "loguniform: [1.0e-4, 2.0e-3]"))
    warm = warm_start_of(sweep)
    inside = [result for result in old if result.trial["train"]["lr"] <= 2e-3]
    assert 0 < len(inside) < 12
    assert len(warm.trials) == len(inside)
    assert warm.runs[0].left_out == {"outside of the space in train.lr": 12 - len(inside)}


def test_of_branches_those_that_are_left_are_found_under_their_names_of_now(home, old):
    sweep = learning(
        home,
        ("      - {name: fitnet, weight: {loguniform: [0.01, 10]}}\n",
         "      - {name: kd, temperature: 30, alpha: {uniform: [0, 1]}}\n"),
    )  # fmt: skip
    warm = warm_start_of(sweep)
    kinds = [result.trial["strategy"]["name"] for result in old]
    assert warm.runs[0].left_out == {"outside of the space in strategy": kinds.count("fitnet")}
    found = [trial.params["strategy"] for trial in warm.trials]
    assert found == [{"kd": "kd#2"}.get(kind, kind) for kind in kinds if kind != "fitnet"]
    kd = next(trial for trial in warm.trials if trial.params["strategy"] == "kd#2")
    assert set(kd.params) >= {"strategy[kd#2].temperature", "strategy[kd#2].alpha"}


def test_trainings_of_another_length_cannot_be_compared(home, old):
    sweep = learning(home, ("  train: {epochs: 1}\nspace", "  train: {epochs: 3}\nspace"))
    (problem,) = refused(sweep)
    assert problem.endswith(
        "0 of 12 trials of old; left out: 12 with another train.epochs (1, here 3)"
    )


def test_seeds_and_where_outputs_are_kept_do_not_matter(home, conditional):
    def moved(result):
        trial = {**result.trial, "seed": 77}
        trial["teacher"] = {**trial["teacher"], "stored": "none", "max_cache_bytes": 5}
        return result.model_copy(update={"trial": trial})

    earlier(home, conditional, change=moved)
    assert len(warm_start_of(learning(home)).trials) == 12


def test_files_of_the_data_may_lie_elsewhere_and_its_settings_may_not(home, conditional):
    from kdsweep.search.placing import _same_setting

    assert _same_setting("data.root", "/here/photos", "/there/photos")
    assert not _same_setting("data.root", "/here/photos", None)
    assert not _same_setting("data.split_seed", 0, 1)
    assert not _same_setting("student.pretrained", "/here/bert", "/there/bert")
    assert _same_setting("train.lr", 1, 1.0)


def test_another_teacher_is_refused(home, conditional):
    earlier(home, conditional, teacher="0" * 24)
    (problem,) = refused(learning(home))
    assert problem.startswith(
        f"search.warm_start: the teacher is not as in {home / 'runs' / 'old'} (000000000000 there, "
    )
    assert problem.endswith("does not hold here; take it out of warm_start")


def test_a_teacher_whose_weights_are_elsewhere_is_left_to_the_lanes(home, conditional, old):
    sweep = learning(home)
    teacher = sweep.spec.trial.teacher.model_copy(update={"train": None, "weights": "/x/t.pt"})
    trial = sweep.spec.trial.model_copy(update={"teacher": teacher})
    sweep = replace(sweep, spec=sweep.spec.model_copy(update={"trial": trial}))
    # What it is shows in its hash, which is expected of the lanes.
    warm = warm_start_of(sweep)
    assert (len(warm.trials), warm.expected["teacher"]) == (12, warm.teacher)


def test_a_sweep_without_a_teacher_is_no_other_than_one_without(home):
    alone = written(home, *NO_TEACHER)
    earlier(home, alone)
    assert len(warm_start_of(learning(home, *NO_TEACHER)).trials) == 12
    assert refused(learning(home)) == (
        f"search.warm_start: {home / 'runs' / 'old'}: has no teacher, and this sweep has one; take "
        "it out of warm_start",
    )


def test_a_sweep_with_a_teacher_is_not_of_one_without(home, old):
    assert refused(learning(home, *NO_TEACHER)) == (
        f"search.warm_start: {home / 'runs' / 'old'}: has a teacher, and this sweep has none; take "
        "it out of warm_start",
    )


def test_runs_must_be_of_the_same_data_as_each_other(home, conditional, old):
    earlier(home, conditional, name="other", data="e" * 64)
    assert refused(learning(home, runs=("runs/old", "runs/other")))[0] == (
        f"search.warm_start: {home / 'runs' / 'other'}: its data are not those of "
        f"{home / 'runs' / 'old'}; name runs of the same data"
    )


def test_several_runs_are_put_together(home, conditional, old):
    earlier(home, conditional, 3, name="other")
    warm = warm_start_of(learning(home, runs=("runs/old", "runs/other")))
    assert [run.used for run in warm.runs] == [12, 3]
    assert len(warm.trials) == 15


def test_a_run_that_has_read_no_data_says_nothing(home, conditional):
    earlier(home, conditional, data_fingerprint=None)
    (problem,) = refused(learning(home))
    assert "its data were never read, or varied, so nothing says that they are those" in problem


def test_varied_data_without_a_teacher_are_held_against_nothing(home):
    earlier(home, written(home, *NO_TEACHER))
    varied = ("space:", "space:\n  data.split_seed: {choice: [0, 1]}")
    (problem,) = refused(learning(home, *NO_TEACHER, varied))
    assert "this sweep varies its data and has no teacher" in problem


def test_all_runs_that_are_missing_are_told_together(home, old):
    problems = refused(learning(home, runs=("runs/odl", "nowhere", "runs/old")))
    assert problems == (
        f"search.warm_start: {home / 'runs' / 'odl'}: does not exist; did you mean "
        f"{home / 'runs' / 'old'}? (runs in {home / 'runs'}: old)",
        f"search.warm_start: {home / 'nowhere'}: does not exist; a run directory is what "
        "`kdsweep run FILE` makes (runs/NAME)",
    )


def test_failed_trials_are_known_and_unfinished_ones_are_not(home, conditional):
    statuses = {3: "failed", 5: "running", 6: "stopped"}
    earlier(
        home, conditional,
        change=lambda r: r.model_copy(update={"status": statuses.get(r.number, r.status)}),
    )  # fmt: skip
    warm = warm_start_of(learning(home))
    assert [t.number for t in warm.trials if t.status == "failed"] == [3]
    assert warm.runs[0].left_out == {"that did not come to their end": 2}


def test_what_has_no_number_for_an_objective_is_left_out(home, conditional):
    def without(result):
        metrics = {k: v for k, v in result.metrics.items() if k != "latency_ms"}
        return result.model_copy(update={"metrics": metrics}) if result.number < 5 else result

    earlier(home, conditional, change=without)
    warm = warm_start_of(
        learning(home, ("space:", "objectives: {accuracy: max, latency_ms: min}\nspace:"))
    )
    assert warm.runs[0].left_out == {"without finite accuracy and latency_ms": 5}


def test_pruned_trials_are_worth_what_they_would_have_come_to(home):
    longer = ("  train: {epochs: 1}\nspace", "  train: {epochs: 9, schedule: constant}\nspace")
    sweep = written(home, longer)
    # Two came from 0.4 to 0.6 and from 0.4 to 0.8: 0.3 more by the median.
    ends = {2: ("complete", 0.6), 3: ("complete", 0.8), 4: ("pruned", 0.35)}

    def ended(result):
        if result.number not in ends:
            return result
        status, accuracy = ends[result.number]
        epochs = (epoch(1, 0.1), epoch(3, 0.4 if status == "complete" else accuracy))
        metrics = {**result.metrics, "accuracy": accuracy, "params": 100.0 * result.number}
        return result.model_copy(update={"status": status, "epochs": epochs, "metrics": metrics})

    earlier(home, sweep, 5, change=ended)
    warm = warm_start_of(learning(home, longer))
    pruned = warm.trials[4]
    assert (pruned.status, pruned.metrics["accuracy"]) == ("pruned", pytest.approx(0.65))
    assert [each.epoch for each in pruned.epochs] == [3]


def test_of_replicates_the_mean_of_their_point_counts(home, conditional):
    store, _ = earlier(home, conditional, 0)
    point = conditional.space.at({"student.width": 2, "student.hidden": 8, "train.lr": 1e-3,
                                  "strategy": "none"})  # fmt: skip
    for number, accuracy in enumerate((0.5, 0.7)):
        proposal = Proposal(number, "trial", Assignment(point.params, point.changes), number, 2)
        result = as_trained(conditional, proposal, accuracy=accuracy)
        store.write(result.model_copy(update={"trial": {**result.trial, "seed": number}}))
    warm = warm_start_of(learning(home))
    (trial,) = warm.trials
    assert trial.metrics["accuracy"] == pytest.approx(0.6)
    assert trial.replicates == 1


def test_a_damaged_record_is_counted(home, old):
    (home / "runs" / "old" / "trials" / "00003" / "result.json").write_text("{")
    warm = warm_start_of(learning(home))
    assert warm.runs[0].words == (
        "11 of 12 trials of old; left out: 1 with a record that cannot be read"
    )


def test_what_is_kept_is_what_was_found_also_when_the_runs_are_gone(home, old):
    warm = warm_start_of(learning(home))
    store = RunStore.create(home / "runs" / "new", meta=run_meta("new"), sweep_text="")
    assert kept_warm_start(store.directory) is None
    keep(store, warm)
    shutil.rmtree(home / "runs" / "old")
    assert kept_warm_start(store.directory) == warm
    (store.directory / "warm_start.json").write_text('{"schema_version": 1}')
    with pytest.raises(ResultError) as error:
        kept_warm_start(store.directory)
    assert str(error.value) == (
        f"{store.directory / 'warm_start.json'}: is damaged: runs: Field required; remove it, and "
        "the runs that search.warm_start names are read again"
    )


def test_a_sweep_goes_on_with_what_it_began_with_unless_its_file_has_changed(home, old):
    sweep = learning(home)
    store = RunStore.create(home / "runs" / "new", meta=run_meta("new"), sweep_text="")
    warm = warm_start_of(sweep)
    fewer = warm.model_copy(update={"trials": warm.trials[:3]})
    assert warm_start_again(sweep, store, changed=False) == warm  # it died before it kept anything
    keep(store, fewer)
    assert warm_start_again(sweep, store, changed=False) == fewer
    assert warm_start_again(sweep, store, changed=True) == warm
    confirming = SimpleNamespace(meta=SimpleNamespace(confirms="digits"), directory=store.directory)
    assert warm_start_again(sweep, confirming, changed=False) is None
    assert expected_of(None) == {}
    assert expected_of(warm) == warm.expected


def test_reasons_are_told_with_their_counts():
    run = EarlierRun(place="x", name="old", sweep_id="0" * 32, used=30,
                     left_out={"outside of the space in strategy": 9, "with a b": 3})  # fmt: skip
    assert run.words == (
        "30 of 42 trials of old; left out: 9 outside of the space in strategy, 3 with a b"
    )


def test_data_that_are_others_on_a_lane_are_refused_in_words_of_their_own():
    expected = {"data": "a" * 64, WARM_START: "runs/old"}
    (said,) = changed_since(expected, "b" * 64, None)
    assert said == (
        "search.warm_start: the data are not as in runs/old (aaaaaaaaaaaa there, bbbbbbbbbbbb "
        "here): what was learned there does not hold here; take it out of warm_start"
    )
    assert changed_since(expected, "a" * 64, None) == ()


@pytest.mark.parametrize("sampler", ["grid", "random"])
def test_a_sampler_that_does_not_learn_refuses_what_it_would_ignore(home, sampler):
    with pytest.raises(SpecError) as error:
        learning(home, search=f"sampler: {sampler}")
    assert error.value.problems == (
        f"search: warm_start does nothing for sampler '{sampler}' (it is for auto or tpe or nsga2 "
        "or nsga3 or gp): remove it",
    )


def test_a_run_is_named_once(home):
    with pytest.raises(SpecError, match="is named twice: its trials would count twice"):
        learning(home, runs=("runs/old", "runs/old"))


def test_auto_takes_a_sampler_that_learns_also_in_a_space_that_has_an_end(home):
    text = SMALL_GRID.replace("uniform: [0.25, 0.75]", "choice: [0.25, 0.75]")
    text = text.replace("search: {sampler: grid, grid_points: 2, trials: 100}\n", "")
    assert written(home, text=text).sampler.name == "random"
    chosen = learning(home, text=text).sampler
    assert (chosen.name, chosen.why) == ("tpe", "it learns from the trials of earlier sweeps")
