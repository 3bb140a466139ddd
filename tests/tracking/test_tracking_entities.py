import math

from tracking_trials import epochs, trial

from kdsweep.results.meta import RunMeta
from kdsweep.tracking import entities


def test_params_are_flat_and_within_the_limits():
    odd = trial(1, trial={"data": {"name": "x" * 7000, "mean": [0.5, 0.5], "a/b:c": None}})
    params = entities.params_of(odd)
    assert params == {"data.name": "x" * 6000, "data.mean": "[0.5, 0.5]", "data.a_b_c": "null"}


def test_every_metric_of_an_epoch_is_at_its_step():
    points = entities.epoch_points(trial(1), after=0)
    assert {name for name, *_ in points} == {"accuracy", "loss", "lr", "train.total", "train.kd"}
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


def test_the_end_has_sizes_and_weights_but_not_accuracy_again():
    points = {name: (value, step) for name, value, _, step in entities.end_points(trial(2))}
    assert points == {
        "params": (200, 3), "macs": (6400, 3), "weight.kd": (0.7, 3), "seconds": (2, 3)
    }  # fmt: skip


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
    assert (tags["strategy"], tags["student"], tags["status"]) == ("kd", "cnn w8", "failed")
    assert (tags["git_commit"], tags["version.torch"]) == ("abc123", "2.15.0")


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
