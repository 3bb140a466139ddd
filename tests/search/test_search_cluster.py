"""How many lanes fit: the arithmetic, and the sentences where they do not."""

import pytest

from kdsweep.errors import SpecError
from kdsweep.search import cluster as cluster_module
from kdsweep.search.cluster import Fitted, arithmetic, fit
from kdsweep.spec import ClusterSpec
from kdsweep.sweep_file.plan import Machine


@pytest.fixture
def on(monkeypatch):
    """``fit`` on a machine of so many processors and GPUs, or on a cluster that has them."""

    def fitted(cpus, gpus, **settings):
        monkeypatch.setattr(cluster_module, "this_machine", lambda: Machine(cpus, gpus))
        monkeypatch.setattr(
            cluster_module.ray, "cluster_resources", lambda: {"CPU": cpus, "GPU": gpus}
        )
        return fit(ClusterSpec(**settings))

    return fitted


@pytest.mark.parametrize(
    ("machine", "settings", "lanes", "gpus_each"),
    [
        ((2, 0), {}, 2, 0),
        ((8, 0), {"cpus_per_worker": 3}, 2, 0),
        ((3, 0), {"cpus_per_worker": 0.3}, 10, 0),
        ((8, 0), {"workers_per_trial": 3}, 2, 0),
        ((8, 0), {"concurrent_trials": 5}, 5, 0),
        ((8, 1), {}, 4, 1 / 4),
        ((8, 4), {}, 8, 1 / 2),
        ((4, 8), {}, 4, 1),
        ((16, 2), {"gpus_per_worker": 0.5}, 4, 0.5),
        # Two of 0.4 fit on each GPU, not five on two.
        ((16, 2), {"gpus_per_worker": 0.4}, 4, 0.4),
        ((16, 4), {"gpus_per_worker": 2}, 2, 2),
        ((16, 4), {"gpus_per_worker": 1, "workers_per_trial": 2}, 2, 1),
        ((16, 1), {"gpus_per_worker": 0}, 16, 0),
    ],
)
def test_lanes_that_fit_a_machine(on, machine, settings, lanes, gpus_each):
    fitted = on(*machine, **settings)
    assert fitted.lanes == lanes
    assert fitted.gpus_per_worker == pytest.approx(gpus_each)
    assert fitted.workers_per_trial == settings.get("workers_per_trial", 1)


@pytest.mark.parametrize(
    ("cpus", "threads"), [(0.5, 1), (1, 1), (2, 2), (3.7, 3)]
)  # fmt: skip
def test_threads_of_a_worker_follow_its_processors(on, cpus, threads):
    assert on(8, 0, cpus_per_worker=cpus).threads == threads


@pytest.mark.parametrize(
    ("machine", "settings", "sentence"),
    [
        ((2, 0), {"concurrent_trials": 64},
         "cluster: 64 trials at once x 1 workers x 1 CPUs and 0 GPUs need 64 CPUs and 0 GPUs; "
         "this machine has 2 and 0; "),
        ((2, 0), {"cpus_per_worker": 64},
         "cluster: 1 trials at once x 1 workers x 64 CPUs and 0 GPUs need 64 CPUs and 0 GPUs; "
         "this machine has 2 and 0; "),
        ((2, 0), {"workers_per_trial": 3},
         "cluster: 1 trials at once x 3 workers x 1 CPUs and 0 GPUs need 3 CPUs and 0 GPUs; "
         "this machine has 2 and 0; "),
        ((8, 1), {"concurrent_trials": 3, "gpus_per_worker": 0.5},
         "cluster: 3 trials at once x 1 workers x 1 CPUs and 0.5 GPUs need 3 CPUs and 1.5 GPUs; "
         "this machine has 8 and 1; "),
        ((8, 0), {"gpus_per_worker": 1},
         "cluster: 1 trials at once x 1 workers x 1 CPUs and 1 GPUs need 1 CPUs and 1 GPUs; "
         "this machine has 8 and 0; "),
        ((2, 0), {"workers_per_trial": 4, "address": "auto"},
         "cluster: one trial needs 4 workers x 1 CPUs and 0 GPUs; the cluster at auto has 2 CPUs "
         "and 0 GPUs; "),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_the_arithmetic(on, machine, settings, sentence):
    with pytest.raises(SpecError) as refused:
        on(*machine, **settings)
    assert str(refused.value) == sentence + (
        "lower concurrent_trials, workers_per_trial, cpus_per_worker or gpus_per_worker"
    )


@pytest.mark.parametrize(
    ("machine", "settings", "lanes"),
    [
        ((64, 0), {}, 64),
        ((64, 0), {"workers_per_trial": 4, "cpus_per_worker": 2}, 8),
        ((64, 8), {}, 8),
        ((64, 8), {"gpus_per_worker": 0.25}, 32),
        # A cluster may grow: what is asked for in numbers is waited for.
        ((2, 0), {"concurrent_trials": 100}, 100),
    ],
)
def test_lanes_on_a_running_cluster(on, machine, settings, lanes):
    assert on(*machine, address="10.0.0.1:6379", **settings).lanes == lanes


def test_lanes_share_a_train_run_as_the_settings_say(on):
    assert on(8, 0).lanes_per_run == 1
    assert on(8, 0, lanes_per_run=3).lanes_per_run == 3
    assert on(2, 0, lanes_per_run=50).lanes_per_run == 2
    # Several workers of a trial are a run of their own.
    assert on(8, 0, workers_per_trial=2).lanes_per_run == 1


def test_the_arithmetic_of_lanes_that_do_not_come_up(monkeypatch):
    ray = cluster_module.ray
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 16.0, "GPU": 2.0})
    monkeypatch.setattr(ray, "available_resources", lambda: {"CPU": 3.0})
    fitted = Fitted(
        lanes=4, lanes_per_run=1, workers_per_trial=2, cpus_per_worker=2.5, gpus_per_worker=0.5
    )
    assert arithmetic(fitted) == (
        "4 lanes x 2 workers need 20 CPUs and 4 GPUs; the cluster has 16 CPUs (3 free) and "
        "2 GPUs (0 free)"
    )


TOO_SLOW = "The current node timed out during startup. This could happen because of the machine"


class _Starts:
    """``ray.init`` that fails as often as it is told to."""

    def __init__(self, monkeypatch, *failures):
        self.failures, self.attempts, self.shut_down = list(failures), 0, 0
        monkeypatch.setattr(cluster_module.ray, "init", self.init)
        monkeypatch.setattr(cluster_module.ray, "shutdown", self.shutdown)

    def init(self, **settings):
        self.attempts += 1
        if self.failures:
            raise self.failures.pop(0)

    def shutdown(self):
        self.shut_down += 1


def test_ray_is_started_again_where_the_machine_is_too_busy(monkeypatch):
    starts = _Starts(monkeypatch, Exception(TOO_SLOW), Exception(TOO_SLOW))
    cluster_module._connect(ClusterSpec())
    assert (starts.attempts, starts.shut_down) == (3, 2)


def test_what_does_not_come_up_is_said_in_a_sentence(monkeypatch):
    starts = _Starts(monkeypatch, *[Exception(TOO_SLOW)] * cluster_module.ATTEMPTS)
    with pytest.raises(SpecError, match=r"Ray does not start on this machine .*timed out"):
        cluster_module._connect(ClusterSpec())
    assert starts.attempts == cluster_module.ATTEMPTS


def test_another_failure_of_ray_is_said_at_once(monkeypatch):
    starts = _Starts(monkeypatch, OSError("AF_UNIX path length cannot exceed 107 bytes\nmore"))
    with pytest.raises(SpecError, match=r"\(AF_UNIX path .* bytes; attempt 1\)"):
        cluster_module._connect(ClusterSpec())
    assert starts.attempts == 1
