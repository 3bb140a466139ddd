"""``kdsweep confirm`` as far as it needs no Ray: what it hands on, prints, and refuses."""

import hashlib
import json
import subprocess
import sys

import pytest
from calling import run
from confirmed_runs import all_records, confirmation_in, confirms, sweep_in
from run_records import trial_result
from small_runs import SWEEP, files_in, store_of

from kdsweep.results.confirmation import TEST_ACCURACY
from kdsweep.results.store import RunStore
from kdsweep.sweep_file import at, load, resolved


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def sweep(home):
    """A finished sweep of two controls and two students, and its store."""
    given = {"status": "complete", "sweep_sha256": digest(SWEEP), "data_fingerprint": "d" * 64}
    store = store_of(home, **given)
    base = load(home / "small.yaml").spec.trial
    changes = [
        ("control", {"strategy": {"name": "none"}}, 0.80, 50),
        ("control", {"strategy": {"name": "kd"}}, 0.82, 50),
        ("trial", {"student.width": 2}, 0.85, 50),
        ("trial", {"student.width": 4}, 0.90, 90),
    ]
    for number, (role, changed, accuracy, params) in enumerate(changes):
        store.write(
            trial_result(
                number,
                trial_id=f"{number:05d}",
                role=role,
                changes=changed,
                trial=resolved(at(base, changed)),
                metrics={"accuracy": accuracy, "params": float(params)},
            )
        )
    return store


@pytest.fixture
def handed_on(monkeypatch):
    """What would be run; its students are tested at once."""
    import kdsweep.search.run as search_run

    given = {}

    def instead(sweep, open_store, **more):
        store = open_store()
        given.update(sweep=sweep, meta=store.meta, **more)
        seeds = store.meta.confirms.seeds
        for place, point in enumerate(store.meta.confirms.points):
            for replicate, seed in enumerate(seeds):
                number = len(seeds) * place + replicate
                accuracy = 0.7 + place / 100 + replicate / 1000
                store.write(
                    trial_result(
                        number,
                        trial_id=f"{number:05d}",
                        point=place,
                        replicate=replicate,
                        replicates=len(seeds),
                        changes=point.changes,
                        started=1.7e9,
                        trial={"student": {"name": "cnn"}, "strategy": "kd", "seed": seed},
                        metrics={"accuracy": accuracy, TEST_ACCURACY: accuracy, "params": 50.0},
                    )
                )
        store.update_meta(status="complete")
        return "complete", store

    monkeypatch.setattr(search_run, "run", instead)
    return given


def test_the_front_is_handed_on_with_its_controls(sweep, handed_on, capsys):
    assert run("confirm", "runs/small", "--seeds", "3") == 0
    out = capsys.readouterr().out
    meta = handed_on["meta"]
    assert (meta.name, meta.replicates, meta.trials) == ("small-confirm", 3, 15)
    assert meta.confirms.run == "small"
    assert meta.confirms.sweep_id == sweep.meta.sweep_id
    # Seed 0 is what the sweep has trained with.
    assert meta.confirms.seeds == (1, 2, 3)
    assert [p.kind for p in meta.confirms.points] == [
        "student", "student", "control", "control", "own_control",
    ]  # fmt: skip
    # Of the smaller one the sweep's own control is the very same student.
    assert [p.own_control for p in meta.confirms.points[:2]] == [2, 4]
    assert handed_on["expected"]["data"] == "d" * 64
    assert (meta.data_fingerprint, meta.sampler) == ("d" * 64, "none")
    assert (
        "2 students, 2 controls of the sweep, 1 control of the students' own, 3 seeds each: "
        "15 trainings, 30 epochs, on the training data\n"
    ) in out
    assert "small-confirm: small with 3 fresh seeds; accuracy in percent" in out
    assert (sweep.directory.parent / "small-confirm" / "sweep.yaml").read_text() == SWEEP


def test_a_second_one_says_that_the_first_has_looked(sweep, handed_on, capsys):
    assert run("confirm", "runs/small", "--trials", "3", "--seeds", "2", "--no-controls") == 0
    capsys.readouterr()
    assert run("confirm", "runs/small", "--top", "1", "--with-validation", "--json") == 0
    out, err = capsys.readouterr()
    meta = handed_on["meta"]
    assert meta.name == "small-confirm-2"
    # Nor with those of the first confirmation.
    assert meta.confirms.seeds == (3, 4, 5, 6, 7)
    assert meta.confirms.with_validation
    (before,) = meta.confirms.opened_before
    assert (before.run, before.same_sweep) == ("small-confirm", True)
    assert "warning: The test data have been opened before, by small-confirm (2023-11-1" in err
    assert "on the training and the validation data" in out + err
    # Alone on stdout, for scripts.
    start = out.index("\n{\n") + 1
    row = json.loads(out[start:])
    assert row["opened_before"][0]["run"] == "small-confirm"
    assert len(row["students"]) == 1


def test_what_was_confirmed_is_shown_again(sweep, handed_on, capsys):
    assert run("confirm", "runs/small", "--seeds", "2", "--name", "mine") == 0
    shown = capsys.readouterr().out.partition("mine: small with")[2]
    for arguments in (["runs/mine"], ["runs/mine", "--show"], ["runs/small", "--show"]):
        assert run("confirm", *arguments) == 0
        assert capsys.readouterr().out.partition("mine: small with")[2] == shown != ""
    assert run("confirm", "runs/mine", "--json") == 0
    row = json.loads(capsys.readouterr().out)
    assert run("confirm", "runs/small", "--show", "--json") == 0
    assert json.loads(capsys.readouterr().out) == [row]
    assert row["students"][0]["test_accuracy"]["values"] == pytest.approx([0.7, 0.701])


def test_it_goes_on_with_resume_and_not_beyond(home, handed_on, capsys):
    store = confirmation_in(home / "runs", all_records()[:5], status="stopped", teacher=None)
    (store.directory / "sweep.yaml").write_text(SWEEP)
    assert run("confirm", "runs/digits-confirm") == 2
    assert "is a confirmation that is stopped: `kdsweep resume runs/digits-confirm` goes on" in (
        capsys.readouterr().err
    )
    assert run("resume", "runs/digits-confirm") == 0
    assert "runs/digits-confirm: 5 trials kept, 0 go on, 3 to come" in capsys.readouterr().out
    assert handed_on["changes"]["trials"] == 8
    assert run("resume", "runs/digits-confirm") == 2
    assert "is complete; look at it with `kdsweep confirm runs/digits-confirm --show`" in (
        capsys.readouterr().err
    )
    assert run("extend", "runs/digits-confirm", "--trials", "1") == 2
    assert "is a confirmation, which trains what was swept and nothing" in capsys.readouterr().err


@pytest.mark.usefixtures("no_ray")
def test_a_confirmation_does_not_go_on_with_what_is_another(home, capsys):
    store = confirmation_in(home / "runs", all_records()[:5], status="stopped")
    (store.directory / "sweep.yaml").write_text(SWEEP)
    assert run("resume", "runs/digits-confirm") == 2
    err = capsys.readouterr().err
    assert "the teacher has changed since the sweep began: " in err
    assert err.endswith("put it back: only what was swept can be confirmed\n")
    assert run("resume", "runs/digits-confirm", "--despite-changes") == 2
    assert "is a confirmation, which trains what was swept and nothing" in capsys.readouterr().err


@pytest.mark.usefixtures("no_ray")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--seeds", "1"], "--seeds: 1 is not allowed: must be 2 to 1000; of one seed there is no"),
        (["--top", "0"], "--top: 0 is not allowed: must be 1 at least"),
        (["--top", "2", "--trials", "3"], "give --top or --trials, not both"),
        (["--trials", "9"], "--trials: there is no trial '9'"),
        (["--name", "../x"], "--name: '../x' is not allowed"),
        (["--name", "small"], "already holds a run"),
        (["--show"], "was not confirmed yet: `kdsweep confirm runs/small` does it"),
        (["--show", "--top", "3"], "--show trains nothing: give it alone, or with --json"),
        (["--address", "nowhere"], "--address: 'nowhere' is"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_touched(home, sweep, capsys, arguments, sentence):
    before = files_in(home)
    assert run("confirm", "runs/small", *arguments) == 2
    out, err = capsys.readouterr()
    assert sentence in err
    assert (out, files_in(home)) == ("", before)


@pytest.mark.usefixtures("no_ray")
def test_another_file_or_no_front_is_refused(home, sweep, capsys):
    path = sweep.directory / "sweep.yaml"
    path.write_text(SWEEP.replace("epochs: 2", "epochs: 3"))
    assert run("confirm", "runs/small") == 2
    err = capsys.readouterr().err
    assert err.startswith("error: runs/small/sweep.yaml: the sweep file has changed since the ")
    assert err.endswith("put it back: only what was swept can be confirmed\n")
    path.write_text(SWEEP)
    for number in range(4):
        sweep.write(trial_result(number, trial_id=f"{number:05d}", status="failed", metrics={}))
    assert run("confirm", "runs/small") == 2
    assert "runs/small: has no front, so there is nothing to confirm" in capsys.readouterr().err
    assert not (home / "runs" / "small-confirm").exists()


@pytest.mark.usefixtures("no_ray")
def test_another_teacher_is_refused(home, sweep, capsys):
    sweep.update_meta(teacher={"hash": "0" * 24})
    assert run("confirm", "runs/small") == 2
    err = capsys.readouterr().err
    assert err.startswith("error: runs/small: the teacher has changed since the sweep began: 0000")
    assert err.endswith("put it back: only what was swept can be confirmed\n")
    assert not (home / "runs" / "small-confirm").exists()


@pytest.mark.usefixtures("no_ray")
def test_a_sweep_that_runs_is_not_confirmed(home, sweep, capsys):
    with RunStore.open(sweep.directory).hold():
        assert run("confirm", "runs/small") == 2
    assert "error: runs/small: " in capsys.readouterr().err
    assert not (home / "runs" / "small-confirm").exists()


def test_one_that_was_stopped_is_with_a_warning(sweep, handed_on, capsys):
    sweep.update_meta(status="stopped")
    assert run("confirm", "runs/small", "--seeds", "2") == 0
    assert "warning: runs/small: is stopped and not complete: what is confirmed is of" in (
        capsys.readouterr().err
    )


@pytest.mark.usefixtures("no_ray")
def test_a_confirmation_is_not_confirmed(home, capsys):
    sweep_in(home / "runs")
    confirmation_in(home / "runs")
    assert run("confirm", "runs/digits-confirm", "--seeds", "3") == 2
    assert "error: runs/digits-confirm: is a confirmation itself, of digits: " in (
        capsys.readouterr().err
    )


def test_other_commands_know_what_it_is(home, capsys):
    sweep_in(home / "runs")
    confirmation_in(home / "runs", confirms=confirms(with_validation=True))
    assert run("list", "--json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert {name: row["confirms"] for name, row in rows.items()} == {
        "digits-confirm": "digits", "digits": None,
    }  # fmt: skip
    assert run("status", "runs/digits-confirm") == 0
    assert (
        "  confirms  digits; `kdsweep confirm runs/digits-confirm --show`\n"
        in capsys.readouterr().out
    )
    assert run("front", "runs/digits-confirm") == 0
    assert "its students have learned from the validation data" in capsys.readouterr().err


def test_a_confirmation_is_read_without_torch():
    program = (
        "import sys; import kdsweep.results.confirmation, kdsweep.report.confirmed; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'ray', 'mlflow', 'optuna')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
