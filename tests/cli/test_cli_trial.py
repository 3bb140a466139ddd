"""``kdsweep trial``: other settings, several seeds, files of runs and of stores."""

import json
import math

import pytest
from calling import run
from object_store import another_machine
from run_records import run_meta, trial_result
from safetensors.torch import load_file
from small_runs import SWEEP

from kdsweep.report.seeds import mean_and_deviation, spread_lines
from kdsweep.results.store import RunStore
from kdsweep.storage.copies import root_at_hand
from kdsweep.sweep_file import load_trial, resolved


def printed(capsys):
    out, err = capsys.readouterr()
    return dict(line.split(maxsplit=1) for line in out.splitlines() if ":" not in line), out, err


def test_another_setting_makes_another_student(home, capsys):
    assert run("trial", "small.yaml", "--set", "student.width=4", "--set", "train.epochs=1") == 0
    named, out, _ = printed(capsys)
    # 3x3 convolutions of two stages, a hidden layer on 2x2 pixels, ten classes; with biases.
    assert int(named["params"]) == 40 + (9 * 4 * 8 + 8) + (8 * 2 * 2 * 12 + 12) + 130
    assert "epoch 1/1: " in out
    assert run("trial", "small.yaml", "--set", "student.wdth=4") == 2
    assert capsys.readouterr().err == (
        "error: small.yaml: trial.student.wdth: unknown key 'wdth'; did you mean 'width'? "
        "(allowed: batch_norm, depth, dropout, hidden, stages, width)\n"
    )


def test_several_seeds_are_trained_in_turn(home, capsys):
    short = ("--set", "train.epochs=1", "--set", "seed=3")
    assert run("trial", "small.yaml", *short, "--seeds", 2, "--weights", "s.safetensors") == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert err == ""
    assert [line.split(":")[0] for line in lines if "/" in line.split(":")[0]] == [
        "teacher 1/1", "seed 3, epoch 1/1", "seed 4, epoch 1/1"
    ]  # fmt: skip
    each = [line for line in lines if line.startswith("seed") and "/" not in line]
    assert [line.split()[:3] for line in each] == [
        ["seed", "3", "accuracy"], ["seed", "4", "accuracy"]
    ]  # fmt: skip
    assert "                 mean ± standard deviation of 2 seeds" in lines
    assert [line.split()[1] for line in lines if line.startswith("weights")] == [
        "s-seed3.safetensors", "s-seed4.safetensors"
    ]  # fmt: skip
    assert not (home / "s.safetensors").exists()
    one, other = (load_file(home / f"s-seed{seed}.safetensors") for seed in (3, 4))
    assert not all((one[name] == other[name]).all() for name in one)


def test_json_has_every_epoch_and_every_seed(home, capsys):
    assert run("trial", "small.yaml", "--json") == 0
    single = json.loads(capsys.readouterr().out)
    assert [epoch["epoch"] for epoch in single["epochs"]] == [1, 2]
    assert single["epochs"][-1]["accuracy"] == single["metrics"]["accuracy"]
    assert run("trial", "small.yaml", "--json", "--seeds", 2) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["seeds"] == [0, 1]
    assert found["trials"][0]["metrics"]["accuracy"] == single["metrics"]["accuracy"]
    one, two = (each["metrics"]["accuracy"] for each in found["trials"])
    assert found["mean"]["accuracy"] == pytest.approx((one + two) / 2)
    assert found["std"]["accuracy"] == pytest.approx(abs(one - two) / math.sqrt(2))


def test_a_seed_that_fails_is_named(home, capsys):
    diverging = ["train.lr=100", "train.batch_size=16", "train.epochs=9",
                 "train.optimizer={name: sgd, momentum: 0.99}"]  # fmt: skip
    given = [each for setting in diverging for each in ("--set", setting)]
    assert run("trial", "small.yaml", *given, "--seeds", 2) == 2
    assert "error: small.yaml: seed 0, epoch 1: the training loss is" in capsys.readouterr().err


def test_seeds_that_there_are_not_are_refused(home, capsys):
    assert run("trial", "small.yaml", "--set", f"seed={2**31 - 2}", "--seeds", 3) == 2
    assert capsys.readouterr().err == (
        "error: --seeds: 3 seeds from 2147483646 on: the last must be below 2**31\n"
    )


def of_a_run(store, status, home):
    """A trial of a run, with a file of its own, that ended so."""
    trial = resolved(load_trial(home / "small.yaml"))
    store.write(trial_result(7, trial_id="00007", status=status, trial=trial))


@pytest.mark.parametrize(
    ("status", "how"), [("pruned", "ended at a rung"), ("stopped", "cut short"), ("complete", None)]
)
def test_of_a_trial_that_was_ended_early_it_says_that_it_trains_on(home, capsys, status, how):
    store = RunStore.create(home / "runs" / "digits", meta=run_meta(), sweep_text=SWEEP)
    of_a_run(store, status, home)
    assert run("trial", "runs/digits/trials/00007/trial.yaml") == 0
    first = capsys.readouterr().out.splitlines()[0]
    said = f"trial 7 was {how} after 1 epoch in its sweep; here it trains all 2"
    assert (first == said) == (how is not None)


def test_a_damaged_record_beside_a_trial_file_is_no_matter(home, capsys):
    store = RunStore.create(home / "runs" / "digits", meta=run_meta(), sweep_text=SWEEP)
    of_a_run(store, "pruned", home)
    (home / "runs/digits/trials/00007/result.json").write_text("{")
    assert run("trial", "runs/digits/trials/00007/trial.yaml", "--set", "train.epochs=1") == 0
    assert capsys.readouterr().out.startswith("teacher 1/1")


def test_files_of_a_run_in_a_store(home, store_at, monkeypatch, tmp_path, capsys):
    meta = run_meta("digits", status="running")
    store = RunStore.create(root_at_hand(store_at) / "digits", meta=meta, sweep_text=SWEEP)
    with store.hold():
        of_a_run(store, "pruned", home)
    place = f"{store_at}/digits"
    with another_machine(monkeypatch, tmp_path):
        assert run("check", f"{place}/trials/00007/trial.yaml") == 0
        assert "cnn width=2 depth=1 stages=2 hidden=12" in capsys.readouterr().out
        assert run("check", f"{place}/sweep.yaml", "--json") == 0
        assert json.loads(capsys.readouterr().out)["name"] == "small"
        one_epoch = ("--set", "train.epochs=1", "--json")
        for reused in (False, True):
            assert run("trial", f"{place}/trials/00007/trial.yaml", *one_epoch) == 0
            out, err = capsys.readouterr()
            assert err.startswith("trial 7 was ended at a rung after 1 epoch ")
            # The teacher is kept in the store, beside the run.
            assert json.loads(out)["teachers"][0]["reused"] is reused
        assert not (home / "runs").exists()
        assert run("trial", f"{place}/trials/00008/trial.yaml") == 2
        assert capsys.readouterr().err == f"error: {place}: has no trial '00008'\n"
        assert run("check", f"{place}/run.json") == 2
        assert capsys.readouterr().err == (
            f"error: {place}/run.json: is no file of a run: give RUN/trials/ID/trial.yaml or "
            "RUN/sweep.yaml\n"
        )


def test_mean_and_deviation_by_hand():
    given = [{"accuracy": 0.9, "params": 5}, {"accuracy": 0.6, "params": 5}, {"accuracy": 0.6}]
    # Mean 0.7; squares 0.04 + 0.01 + 0.01 over n - 1 = 2.
    assert mean_and_deviation(given) == {
        "accuracy": (pytest.approx(0.7), pytest.approx(math.sqrt(0.03)))
    }
    assert spread_lines(given[:2]) == ["accuracy         75.00% ±21.21", "params           5"]
    assert spread_lines(given[:1]) == ["accuracy         90.00%", "params           5"]
    assert spread_lines([{"loss": math.nan}, {"loss": 1.0}]) == ["loss             nan"]
    assert mean_and_deviation([]) == {}
