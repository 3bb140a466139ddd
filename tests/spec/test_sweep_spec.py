import pytest
from pydantic import ValidationError

from kdsweep.spec.problems import sentences
from kdsweep.spec.sweep import ClusterSpec


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"workers_per_trial": 2, "lanes_per_run": 3},
            "lanes_per_run is 3: lanes of several workers have a run each, "
            "remove it or set workers_per_trial to 1",
        ),
        ({"gpus_per_worker": 1.5}, "gpus_per_worker is 1.5: above 1 it must be a whole number"),
    ],
)
def test_cluster_settings_that_contradict_each_other_are_refused(settings, sentence):
    with pytest.raises(ValidationError) as refused:
        ClusterSpec(**settings)
    assert sentences(refused.value, ClusterSpec) == [sentence]


def test_one_lane_in_each_run_may_have_several_workers():
    assert ClusterSpec(workers_per_trial=2, lanes_per_run=1).lanes_per_run == 1
