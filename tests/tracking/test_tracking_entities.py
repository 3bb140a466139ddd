import math

import pytest
from confirmed_runs import confirms
from tracking_trials import epochs, trial

from kdsweep.results.meta import RunMeta
from kdsweep.tracking import entities


def test_params_are_flat_and_within_the_limits():
    odd = {"name": "x" * 7000, "sizes": [0.5, 0.5], "a/b:c": None}
    params = entities.params_of(trial(1, trial={"student": odd, "strategy": {"name": "none"}}))
    assert params == {
        "student.name": "x" * 6000, "student.sizes": "[0.5, 0.5]", "student.a_b_c": "null",
        "strategy.name": "none", "student": "x" * 6000, "strategy": "none",
    }  # fmt: skip


WHOLE = {
    "data": {"name": "digits", "limit": 100, "augment": {"crop": 2}},
    "teacher": {"model": {"name": "cnn", "width": 64}, "seed": 0},
    "student": {"name": "cnn", "width": 8},
    "strategy": {"name": "kd", "extra": {"fitnet": {"weight": 2.0}}},
}


def test_what_all_trials_have_in_common_is_no_param_of_each():
    plain = trial(1, trial=WHOLE)
    assert entities.params_of(plain) == {
        "student.name": "cnn", "student.width": "8", "strategy.name": "kd",
        "strategy.extra.fitnet.weight": "2.0", "student": "cnn w8", "strategy": "kd+fitnet",
    }  # fmt: skip
    common = {
        "data.name": "digits", "data.limit": "100", "data.augment.crop": "2",
        "teacher.model.name": "cnn", "teacher.model.width": "64", "teacher.seed": "0",
    }  # fmt: skip
    assert entities.common_params(plain) == common


def test_what_the_search_set_of_data_and_teacher_is_a_param_of_the_trial():
    set_here = {"data.limit": 100, "teacher.model": {"name": "cnn", "width": 64}}
    varied = trial(1, trial=WHOLE, changes=set_here)
    own = {"data.limit": "100", "teacher.model.name": "cnn", "teacher.model.width": "64"}
    assert entities.params_of(varied).items() >= own.items()
    assert set(entities.common_params(varied)) == {"data.name", "data.augment.crop", "teacher.seed"}


def test_a_teacher_has_its_own_settings_and_none_of_a_student():
    teacher = trial(1, role="teacher", trial=WHOLE)
    assert entities.params_of(teacher) == {
        "teacher.model.name": "cnn", "teacher.model.width": "64", "teacher.seed": "0",
        "student": "cnn w64", "strategy": "-",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({"name": "kd w16 T4.2 a0.31"}, "kd w16 T4.2 a0.31"),
        ({"name": "none w16", "role": "control"}, "control: none w16"),
        ({"name": "kd w16", "replicate": 1, "replicates": 4}, "kd w16 (2/4)"),
        ({"name": "teacher cnn", "role": "teacher"}, "teacher: cnn w64"),
        ({"name": "teacher large cnn", "role": "teacher"}, "teacher large: cnn w64"),
    ],
)
def test_a_run_is_called_by_what_it_is(more, name):
    assert entities.run_name(trial(1, **{"trial": WHOLE, **more})) == name


def test_every_metric_of_an_epoch_is_at_its_step():
    points = entities.epoch_points(trial(1), after=0)
    assert {name for name, *_ in points} == {"accuracy", "loss", "lr", "train.total"}
    assert [p[3] for p in points if p[0] == "accuracy"] == [1, 2, 3]
    assert [p[1] for p in points if p[0] == "accuracy"] == [0.51, 0.52, 0.53]
    # Trial 1 began at 1.7e9 + 1 seconds, and an epoch takes half a second.
    assert [p[2] for p in points if p[0] == "loss"] == [
        1_700_000_001_500, 1_700_000_002_000, 1_700_000_002_500,
    ]  # fmt: skip


def test_only_new_epochs():
    assert {p[3] for p in entities.epoch_points(trial(1), after=2)} == {3}
    assert entities.epoch_points(trial(1), after=3) == []


def test_points_do_not_depend_on_when_they_are_made():
    assert entities.epoch_points(trial(1), after=0) == entities.epoch_points(trial(1), after=0)
    assert entities.end_points(trial(1)) == entities.end_points(trial(1))


def test_the_end_has_sizes_but_not_accuracy_again():
    points = {name: (value, step) for name, value, _, step in entities.end_points(trial(2))}
    assert points == {"params": (200, 3), "macs": (6400, 3), "seconds": (2, 3)}


def test_names_of_metrics_do_not_depend_on_the_strategy():
    terms = {"total": 1.0, "hard": 0.5, "hint": 0.2, "attention": 0.1}
    other = [epochs(1)[0].model_copy(update={"train": terms})]
    weights = {"hard": 0.3, "hint": 12.345678}
    results = [trial(1), trial(1, epochs=other, weights_of_terms=weights)]
    names = [
        {p[0] for p in (*entities.epoch_points(r, after=0), *entities.end_points(r))}
        for r in results
    ]
    assert names[0] == names[1]


def test_a_sweep_is_a_point_for_each_number_of_trials_that_have_ended(store):
    results = [trial(9, role="teacher"), trial(1), trial(2, status="pruned"),
               trial(3, status="failed", metrics={}), trial(4, status="stopped")]  # fmt: skip
    points = {p[0]: p[1:] for p in entities.sweep_points(store.meta, results, [results[1]])}
    # Trial 9 began last, at 1.7e9 + 9 seconds, and took two.
    assert points["trials.complete"] == (1, 1_700_000_011_000, 3)
    assert points["trials.stopped"] == (1, 1_700_000_011_000, 3)
    assert points["front.min.params"] == (100, 1_700_000_011_000, 3)


def test_a_teacher_that_was_loaded_has_its_accuracy_all_the_same():
    points = dict(p[:2] for p in entities.end_points(trial(3, role="teacher", count=0)))
    assert points["accuracy"] == 0.8


def test_an_infinite_loss_is_nan():
    blown = epochs(1)[0].model_copy(update={"loss": math.inf})
    values = {p[0]: p[1] for p in entities.epoch_points(trial(1, epochs=[blown]), after=0)}
    assert math.isnan(values["loss"])


def test_tags_are_short_and_never_empty(store):
    tags = entities.tags_of(trial(1, status="failed", error="x" * 9000, lane=""), store.meta)
    assert tags["error"] == "x" * 5000
    assert "lane" not in tags
    assert tags["kdsweep.trial_id"] == "t1"
    assert tags["term_weights"] == "kd=0.7"
    assert (tags["strategy"], tags["student"], tags["status"]) == ("kd", "cnn w8", "failed")
    assert (tags["git_commit"], tags["version.torch"]) == ("abc123", "2.15.0")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"status": "failed", "error": "no memory"}, {"error": "no memory"}),
        ({"status": "stopped", "error": "two hours"}, {"why": "two hours"}),
        ({"status": "pruned", "error": "ended at epoch 3 of 20", "count": 3},
         {"why": "ended at epoch 3 of 20", "pruned_at": "epoch 3"}),
        ({"status": "complete"}, {}),
    ],
)  # fmt: skip
def test_what_ended_early_says_why_and_only_a_failure_is_an_error(store, more, said):
    tags = entities.tags_of(trial(1, **more), store.meta)
    assert {key: tags[key] for key in ("error", "why", "pruned_at") if key in tags} == said


@pytest.mark.parametrize(
    ("point", "role", "name"),
    [
        (0, "trial", "confirm: kd w4 (1/2)"),
        (2, "control", "confirm control: kd w4 (1/2)"),
        (3, "control", "confirm own control: kd w4 (1/2)"),
        (9, "trial", "confirm: kd w4 (1/2)"),
        (0, "teacher", "confirm kd w4: -"),
    ],
)
def test_what_confirms_a_student_is_called_so(point, role, name):
    result = trial(1, name="kd w4", role=role, replicates=2, point=point, replicate=0)
    assert entities.run_name(result, confirms()) == name


def test_a_replicate_says_of_which_point_it_is(store):
    second = trial(5).model_copy(update={"point": 2, "replicate": 1, "replicates": 2})
    tags = entities.tags_of(second, store.meta)
    assert (tags["number"], tags["point"], tags["replicate"]) == ("5", "2", "1")
    assert not {"point", "replicate"} & set(entities.tags_of(trial(5), store.meta))


def test_a_sweep_of_replicates_says_how_many():
    meta = RunMeta(
        sweep_id="0" * 32, name="x", created="", objectives={"accuracy": "max"}, replicates=3
    )
    assert entities.sweep_params(meta)["replicates"] == "3"
    assert "replicates" not in entities.sweep_params(meta.model_copy(update={"replicates": 1}))
