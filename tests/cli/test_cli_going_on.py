"""``kdsweep resume`` and ``extend`` as far as they need no Ray: what they hand on, and refuse."""

import hashlib

import pytest
from calling import run
from small_runs import SWEEP, files_in, store_of
from test_cli_results import trial

from kdsweep.results.store import RunStore
from kdsweep.sweep_file import load
from kdsweep.train.teacher_store import digest_of

BUDGET = SWEEP.replace("search: {trials: 2}", "search: {budget: {epochs: 40, hours: 1}}")


@pytest.fixture
def handed_on(monkeypatch):
    """What a sweep would be run with."""
    import kdsweep.search.run as search_run

    given = {}

    def instead(sweep, open_store, **more):
        store = open_store()
        store.update_meta(**more["changes"])
        given.update(search=sweep.spec.search, planned=more["progress"]._state.planned, **more)
        return "complete", store

    monkeypatch.setattr(search_run, "run", instead)
    return given


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def ended(home, text=SWEEP, **meta):
    store = store_of(home, **{"status": "complete", "sweep_sha256": digest(text), **meta})
    (store.directory / "sweep.yaml").write_text(text)
    for number in range(4):
        store.write(trial(number, 0.5, 100 + number, status="complete"))
    return store


def test_extend_adds_trials_and_the_run_knows_of_it(home, handed_on):
    ended(home)
    assert run("extend", "runs/small", "--trials", "1") == 0
    # The space has two points, and one of them is a control's.
    assert (handed_on["search"].trials, handed_on["planned"]) == (3, 4)
    meta = RunStore.open(home / "runs" / "small").meta
    assert meta.extended == {"trials": 1.0}
    assert run("extend", "runs/small", "--trials", "4") == 0
    assert handed_on["search"].trials == 7
    meta = RunStore.open(home / "runs" / "small").meta
    assert (meta.extended, meta.trials) == ({"trials": 5.0}, 4)


def test_resume_goes_on_with_what_was_added(home, handed_on, capsys):
    store = ended(home, status="stopped", extended={"trials": 5.0})
    store.write(trial(3, 0.5, 100, status="running"))
    assert run("resume", "runs/small") == 0
    assert capsys.readouterr().out.splitlines()[:2] == [
        "checking runs/small/sweep.yaml",
        "runs/small: 3 trials kept, 1 goes on, 0 to come",
    ]
    assert handed_on["search"].trials == 7


def test_a_complete_run_with_a_damaged_record_goes_on(home, handed_on, capsys):
    store = ended(home)
    assert run("resume", "runs/small") == 2
    assert "is complete; look at it with" in capsys.readouterr().err
    record = store.directory / "trials" / "t2" / "result.json"
    record.write_bytes(record.read_bytes()[:100])
    assert run("resume", "runs/small") == 0
    out, err = capsys.readouterr()
    assert "runs/small: 3 trials kept, 0 go on, 1 to come" in out
    assert f"{record.relative_to(home)}: is damaged: " in err
    assert len(handed_on["done"]) == 3


def test_extend_raises_a_budget(home, handed_on):
    ended(home, BUDGET, ended_by="the budget of epochs is spent")
    assert run("extend", "runs/small", "--epochs", "10", "--hours", "0.5") == 0
    budget = handed_on["search"].budget
    assert (budget.epochs, budget.hours, budget.cost) == (50, 1.5, None)
    assert not handed_on["search"].has_most_trials


@pytest.mark.parametrize(
    ("text", "arguments", "sentence"),
    [
        (SWEEP, [], "give how much more: --trials, --epochs, --hours or --cost, above zero"),
        (SWEEP, ["--trials", "0"], "give how much more: --trials, --epochs, --hours or --cost"),
        (SWEEP, ["--trials", "-3"], "give how much more: --trials, --epochs, --hours or --cost"),
        (BUDGET, ["--hours", "inf"], "search.budget.hours: "),
        (SWEEP, ["--hours", "0"], "give how much more: --trials, --epochs, --hours or --cost"),
        (SWEEP, ["--hours", "1"], "--hours: the sweep has no budget of hours; give what limits it: "
                                  "--trials"),
        (BUDGET, ["--cost", "1"], "--cost: the sweep has no budget of cost; give what limits it: "
                                  "--hours, --epochs"),
        (BUDGET, ["--trials", "1"], "--trials: the sweep has no limit of trials, its budget ends "),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("no_ray")
def test_what_cannot_be_added_is_refused(home, capsys, monkeypatch, text, arguments, sentence):
    monkeypatch.setattr("kdsweep.sweep_file.load", lambda path: pytest.fail("was checked"))
    ended(home, text)
    before = files_in(home)
    assert run("extend", "runs/small", *arguments) == 2
    out, err = capsys.readouterr()
    assert (out, files_in(home)) == ("", before)
    assert sentence in err


@pytest.mark.usefixtures("no_ray")
@pytest.mark.parametrize("command", [["resume"], ["extend", "--trials", "1"]])
def test_a_sweep_file_that_was_changed_is_refused(home, capsys, command):
    store = ended(home, status="stopped" if command == ["resume"] else "complete")
    (store.directory / "sweep.yaml").write_text(SWEEP.replace("epochs: 2", "epochs: 3"))
    before = (store.directory / "run.json").read_bytes()
    assert run(command[0], "runs/small", *command[1:]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: runs/small/sweep.yaml: the sweep file has changed since the ")
    assert (store.directory / "run.json").read_bytes() == before


def test_it_goes_on_with_a_changed_file_if_told_to(home, handed_on):
    text = SWEEP.replace("epochs: 2", "epochs: 3")
    store = ended(home, status="stopped", data_fingerprint="old")
    (store.directory / "sweep.yaml").write_text(text)
    assert run("resume", "runs/small", "--despite-changes") == 0
    assert handed_on["expected"] is None
    meta = RunStore.open(store.directory).meta
    assert (meta.sweep_sha256, meta.data_fingerprint) == (digest(text), None)


def test_data_and_teacher_are_compared_with_those_of_the_run(home, handed_on):
    teacher = {"hash": digest_of(load(home / "small.yaml").spec.trial.teacher, data="abc")}
    ended(home, status="stopped", data_fingerprint="abc", teacher=teacher)
    assert run("resume", "runs/small") == 0
    assert handed_on["expected"] == {"data": "abc", "teacher": teacher["hash"]}


def test_a_run_of_a_cluster_that_goes_on_without_it_says_so(home, handed_on, capsys):
    ended(home, status="stopped", address="10.0.0.1:6379")
    assert run("resume", "runs/small") == 0
    said = (
        "runs/small: it ran on the Ray cluster at 10.0.0.1:6379 and goes on on this machine; "
        "--address 10.0.0.1:6379 joins the cluster again\n"
    )
    assert said in capsys.readouterr().err
    assert run("extend", "runs/small", "--trials", "1", "--address", "10.0.0.2:6379") == 0
    assert said not in capsys.readouterr().err
    assert RunStore.open(home / "runs" / "small").meta.address == "10.0.0.2:6379"


@pytest.mark.usefixtures("no_ray")
@pytest.mark.parametrize("command", [["resume"], ["extend", "--trials", "1"]])
def test_another_teacher_is_refused_before_anything_starts(home, capsys, command):
    ended(home, status="stopped", data_fingerprint="abc", teacher={"hash": "0123456789abcdef"})
    path = home / "runs" / "small" / "run.json"
    before = path.read_bytes(), files_in(home)
    assert run(command[0], "runs/small", *command[1:]) == 2
    out, err = capsys.readouterr()
    assert out == "checking runs/small/sweep.yaml\n"
    assert err.startswith(
        "error: runs/small: the teacher has changed since the sweep began: 0123456789ab became "
    )
    assert (path.read_bytes(), files_in(home)) == before


def test_a_sweep_whose_trials_have_all_failed_ends_with_2(home, monkeypatch, capsys):
    import kdsweep.search.run as search_run

    store = ended(home, status="stopped")
    for number in range(4):
        failed = trial(number, 0.5, 100, status="failed")
        store.write(failed.model_copy(update={"error": "epoch 1: the loss is nan"}))
    monkeypatch.setattr(search_run, "run", lambda *a, **k: ("complete", store))
    assert run("resume", "runs/small") == 2
    err = capsys.readouterr().err
    assert err.endswith("small: every trial has failed; the first one: epoch 1: the loss is nan\n")
