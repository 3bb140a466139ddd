import pytest
from pydantic import ValidationError

from kdsweep.spec import ClusterSpec, SweepSpec, TrackingSpec
from kdsweep.spec.problems import sentences


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


SWEEP = {
    "name": "small",
    "trial": {"data": "digits", "student": "cnn", "strategy": "none", "seed": 5},
    "space": {"train.lr": {"uniform": [0.1, 0.2]}},
}


def refusals(**changes):
    with pytest.raises(ValidationError) as refused:
        SweepSpec.model_validate({**SWEEP, **changes})
    return sentences(refused.value, SweepSpec)


def test_replicates_are_one_if_nothing_is_said():
    assert SweepSpec.model_validate(SWEEP).search.replicates == 1


@pytest.mark.parametrize(
    "space",
    [
        {"seed": {"choice": [0, 1]}},
        {"seed": {"int": [0, 9]}, "train.lr": {"uniform": [0.1, 0.2]}},
        {"pair": {"together": [{"name": "a", "seed": 0, "train.lr": 0.1}]}},
    ],
)
def test_with_replicates_the_seed_is_not_searched(space):
    assert SweepSpec.model_validate({**SWEEP, "space": space}).search.replicates == 1
    assert refusals(space=space, search={"replicates": 4}) == [
        "search: replicates is 4, and space varies seed: replicates of a point differ in their "
        "seed, which is never searched; take seed out of space, or replicates out of search"
    ]


@pytest.mark.parametrize("path", ["teacher.seed", "data.split_seed"])
def test_other_seeds_may_be(path):
    spec = {**SWEEP, "space": {path: {"choice": [0, 1]}}, "search": {"replicates": 4}}
    assert SweepSpec.model_validate(spec).search.replicates == 4


def test_what_is_wrong_with_replicates_is_told_with_the_rest():
    assert refusals(
        space={"seed": {"choice": [0, 1]}}, search={"replicates": 2}, objectives={"accuracy": "up"}
    )[1:] == refusals(space={"seed": {"choice": [0, 1]}}, search={"replicates": 2})


def test_every_replicate_has_a_seed_that_is_allowed():
    most = {**SWEEP["trial"], "seed": 2**31 - 4}
    assert SweepSpec.model_validate({**SWEEP, "trial": most, "search": {"replicates": 4}})
    assert refusals(trial=most, search={"replicates": 5}) == [
        "search: replicates is 5, and trial.seed is 2147483644: the last replicate would have a "
        "seed above 2147483647; lower trial.seed"
    ]


def test_replicates_are_one_or_more():
    assert refusals(search={"replicates": 0}) == [
        "search.replicates: 0 is not allowed: must be at least 1"
    ]


@pytest.mark.parametrize(
    ("search", "cluster", "sentence"),
    [
        (
            {"rungs": {"eta": 2}},
            {},
            "search: rungs do nothing: in 20 epochs of the schedule 'cosine' there is no place for "
            "one after 3; use the schedule per_rung, more epochs, or rungs: null",
        ),
        (
            {"rungs": {}, "replicates": 2},
            {},
            "search: rungs and replicates exclude each other: a point is judged when all of its "
            "replicates have ended; remove one of them",
        ),
        (
            {"rungs": {}, "batch": 2},
            {},
            "search: rungs and batch exclude each other: who ends at a rung depends on who reached "
            "it before; remove one of them",
        ),
        (
            {"budget": {}},
            {},
            "search.budget: limits nothing: give hours, epochs or cost, or several of them",
        ),
        (
            {"budget": {"cost": 3}},
            {},
            "cluster: search.budget.cost is 3, and cost_per_hour is not given or 0: nobody knows "
            "when it is spent; give cost_per_hour, or limit hours in place of cost",
        ),
        (
            {"budget": {"epochs": 19}},
            {},
            "search: budget: 19 epochs do not pay for one trial of 20; raise epochs, or lower "
            "train.epochs",
        ),
        (
            {"budget": {"epochs": 59}, "replicates": 3},
            {},
            "search: budget: 59 epochs do not pay for 3 replicates of a trial of 20; raise epochs, "
            "or lower train.epochs",
        ),
        (
            {"budget": {"hours": 0}},
            {},
            "search.budget.hours: 0 is not allowed: must be greater than 0.0",
        ),
    ],
)
def test_rungs_and_budgets_that_could_do_nothing_are_refused(search, cluster, sentence):
    assert refusals(search=search, cluster=cluster) == [sentence]


def test_rungs_that_grace_leaves_out_ask_for_a_smaller_one():
    trial = {**SWEEP["trial"], "train": {"schedule": "per_rung"}}
    assert refusals(trial=trial, search={"rungs": {"grace": 20}}) == [
        "search: rungs do nothing: in 20 epochs of the schedule 'per_rung' there is no place for "
        "one after 20; use a smaller grace, more epochs, or rungs: null"
    ]


@pytest.mark.parametrize("bound", [{"min": 1.5}, {"max": 95}, {"min": -0.1}])
def test_an_accuracy_is_a_share(bound):
    ((end, value),) = bound.items()
    assert refusals(constraints={"accuracy": bound}) == [
        f"constraints: accuracy.{end} is {value:g}: must be between 0 and 1, 0.95 is 95 %"
    ]


def test_a_price_that_is_wanted_where_the_file_has_no_cluster_at_all():
    (sentence,) = refusals(search={"budget": {"cost": 3}})
    assert sentence.startswith("cluster: search.budget.cost is 3, and cost_per_hour is not given")


def test_a_budget_of_epochs_pays_for_what_the_space_may_make_shorter():
    space = {"train.epochs": {"choice": [5, 20]}}
    search = {"budget": {"epochs": 10}}
    assert SweepSpec.model_validate({**SWEEP, "space": space, "search": search}).search.budget


def test_rungs_that_some_schedule_of_the_space_has_are_good():
    space = {"train.schedule": {"choice": ["cosine", "per_rung"]}}
    search = {"rungs": {"eta": 2}}
    assert SweepSpec.model_validate({**SWEEP, "space": space, "search": search}).search.rungs


def test_a_budget_takes_the_place_of_the_number_of_trials():
    search = SweepSpec.model_validate({**SWEEP, "search": {"budget": {"hours": 1}}}).search
    assert not search.has_most_trials
    both = {"budget": {"hours": 1}, "trials": 7}
    assert SweepSpec.model_validate({**SWEEP, "search": both}).search.has_most_trials
    assert SweepSpec.model_validate(SWEEP).search.has_most_trials


@pytest.mark.parametrize("address", ["auto", "head:6379", "10.0.0.7:6379", "[fe80::1]:6379"])
def test_addresses_of_clusters(address):
    assert ClusterSpec(address=address).address == address


@pytest.mark.parametrize(
    ("address", "hint"),
    [
        ("nowhere", ""),
        ("h:0", ""),
        ("h:65536", ""),
        ("::1:6379", ""),
        ("http://a:8265", "; that of a job server is for `kdsweep submit`"),
        ("ray://a:10001", "; Ray's client is not used: give the address that `ray start --head` "
                          "prints"),
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_cluster(address, hint):
    with pytest.raises(ValidationError) as refused:
        ClusterSpec(address=address)
    assert sentences(refused.value, ClusterSpec, at="cluster") == [
        f"cluster.address: {address!r} is not allowed: must be auto, HOST:PORT or [IPV6]:PORT{hint}"
    ]


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:5000", "https://mlflow.example.org/path", "sqlite:///mlflow.db",
        "sqlite:////abs/mlflow.db", "postgresql://me@db/mlflow", "postgresql+psycopg2:///mlflow",
        "mysql+pymysql://db/mlflow?read_default_file=x", "mssql+pyodbc://db/x", "databricks",
        "databricks://profile", "databricks-uc", "file:///tmp/mlruns", "file:mlruns", "./mlruns",
        "/tmp/mlruns",
    ],
)  # fmt: skip
def test_uris_that_mlflow_takes(uri):
    assert TrackingSpec(uri=uri).uri == uri


@pytest.mark.parametrize(
    "uri",
    ["ftp://x", "http:127.0.0.1", "http:///x", "http+x://h", "localhost:5000", "sqlite://x",
     "postgres://db/x", "postgresql:db", " x", "s3://bucket/x"],
)  # fmt: skip
def test_uris_that_mlflow_does_not_take(uri):
    with pytest.raises(ValidationError) as refused:
        TrackingSpec(uri=uri)
    (said,) = sentences(refused.value, TrackingSpec, at="tracking")
    assert said == (
        f"tracking.uri: {uri!r} is not allowed: must be a server (http://HOST:PORT, https://HOST), "
        "a database (sqlite:///FILE, postgresql://HOST/NAME, mysql://, mssql://, also with a "
        "+DRIVER), databricks, or a directory"
    )


def test_a_refused_uri_has_one_colon_before_its_reason():
    with pytest.raises(ValidationError) as refused:
        TrackingSpec(uri="http://me:s3cret@h")
    (said,) = sentences(refused.value, TrackingSpec, at="tracking")
    assert said.startswith("tracking.uri: 'http://h' is not allowed with a password or token in it")
