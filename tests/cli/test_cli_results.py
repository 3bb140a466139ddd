import json
import os
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from kdsweep.cli import app
from kdsweep.errors import ResultError
from kdsweep.results.meta import RunMeta
from kdsweep.results.record import TrialResult
from kdsweep.results.store import RunStore


def trial(number, accuracy, params, *, role="trial", status="complete"):
    return TrialResult(
        trial_id=f"t{number}",
        number=number,
        role=role,
        status=status,
        name=f"kd w{number}",
        trial={
            "student": {"name": "cnn", "width": 8},
            "strategy": {"name": "kd", "temperature": 3.0 + number, "alpha": 0.25},
        },
        changes={"student.width": 8, "strategy.temperature": 3.0 + number},
        params={"student.width": 8, "strategy.temperature": 3.0 + number},
        metrics={"accuracy": accuracy, "params": params, "macs": 64.0 * params},
        weights=f"trials/t{number}/student.safetensors",
    )


@pytest.fixture
def runs(tmp_path):
    meta = RunMeta(
        sweep_id="0" * 32, name="digits", created="2026-11-21T10:00:00+00:00",
        objectives={"accuracy": "max", "params": "min"}, trials=5, sampler="tpe",
        status="complete",
    )  # fmt: skip
    store = RunStore.create(tmp_path / "runs" / "digits", meta=meta, sweep_text="")
    for result in (
        trial(0, 0.99, 100_000, role="teacher"),
        trial(1, 0.80, 1_000),
        trial(2, 0.95, 20_000),
        trial(3, 0.79, 2_000),
        trial(4, 0.5, 10, status="failed"),
    ):
        store.write(result)
        store.weights_of(result.trial_id).write_bytes(b"")
    return tmp_path / "runs"


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "80"})


def refusal(*arguments):
    result = run(*arguments)
    assert isinstance(result.exception, ResultError), result.output
    return str(result.exception)


def test_front_as_a_table_and_a_plot(runs):
    result = run("front", runs / "digits")
    assert result.exit_code == 0
    assert "digits: 2 on the front of 3 complete trials" in result.stdout
    rows = [line.split() for line in result.stdout.splitlines()]
    # Wilson's interval of 80 of 100.
    assert ["cnn", "w8", "kd", "1,000", "64k", "80.00%", "71.1-86.7", "4", "t1"] in rows
    assert "95 %, of 100 validation examples" in " ".join(result.stdout.split())
    assert "★ teacher" in result.stdout
    assert max(len(line) for line in result.stdout.splitlines()) <= 80
    assert "\x1b" not in result.stdout


def test_front_as_json(runs):
    found = json.loads(run("front", runs / "digits", "--json").stdout)
    assert [(r["number"], r["accuracy"], r["params"]) for r in found["front"]] == [
        (1, 0.80, 1_000), (2, 0.95, 20_000),
    ]  # fmt: skip
    assert found["objectives"] == {"accuracy": "max", "params": "min"}
    assert (found["complete"], found["failed"], found["planned"]) == (3, 1, 5)
    assert found["front"][0]["changes"] == {"student.width": 8, "strategy.temperature": 4.0}
    assert found["front"][0]["settings"] == {"student.width": 8, "strategy.temperature": 4.0}
    ends = (found["front"][0]["accuracy_low"], found["front"][0]["accuracy_high"])
    assert ends == pytest.approx((0.7112, 0.8666), abs=5e-5)  # 0..1, for scripts


def test_front_as_csv(runs):
    lines = run("front", runs / "digits", "--csv").stdout.splitlines()
    assert lines[0].startswith("number,trial_id,name,role,status,student,strategy,accuracy,")
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2"]
    assert refusal("front", runs / "digits", "--csv", "--json") == (
        "give one of --json, --csv and --plot"
    )


def test_front_of_a_run_without_students_is_a_header_as_csv(runs):
    for record in (runs / "digits" / "trials").iterdir():
        shutil.rmtree(record)
    said = run("front", runs / "digits", "--csv")
    assert said.exit_code == 0
    (line,) = said.stdout.splitlines()
    assert line.startswith(
        "number,trial_id,name,role,status,student,strategy,accuracy,accuracy_low"
    )


def test_front_as_a_large_plot_alone(runs):
    lines = run("front", runs / "digits", "--plot").stdout.splitlines()
    assert lines[0] == "digits: 2 on the front of 3 complete trials"
    assert lines[-4:-2] == [
        "  a  t1   1,000  80.00% (71.1-86.7)  cnn w8, kd",
        "  b  t2  20,000  95.00% (88.8-97.8)  cnn w8, kd",
    ]
    assert lines[-2].startswith("  interval: where the accuracy in percent lies at 95 %")
    # 24 lines of a picture, above and below it an empty one.
    assert len(lines) == 1 + 1 + 24 + 1 + 4
    assert "a-b front ◆ control · other ★ teacher" in lines[-6]
    assert max(map(len, lines)) <= 80


def test_front_of_a_run_whose_trials_miss_the_constraints(runs):
    RunStore.open(runs / "digits").update_meta(constraints={"accuracy": {"min": 0.99}})
    said = run("front", runs / "digits").stdout
    assert said == "digits: no complete trial that meets the constraints (5 recorded)\n"


def test_front_of_a_run_that_has_just_begun(runs):
    for path in (runs / "digits" / "trials").glob("t*/result.json"):
        path.unlink()
    assert run("front", runs / "digits").stdout == "digits: no complete trial yet (0 recorded)\n"
    assert json.loads(run("front", runs / "digits", "--json").stdout)["front"] == []


def test_damaged_records_are_told_and_the_rest_is_shown(runs):
    (runs / "digits" / "trials" / "t1" / "result.json").write_text("{")
    result = run("front", runs / "digits", "--json")
    assert result.stderr.startswith("warning: ")
    assert "t1/result.json: is damaged" in result.stderr
    found = json.loads(result.stdout)
    assert [r["number"] for r in found["front"]] == [3, 2]
    assert found["unreadable"] == 1


def test_the_wrong_directory_is_refused_with_the_right_one(runs):
    assert f"did you mean {runs / 'digits'}?" in refusal("front", runs / "digit")
    assert "does not exist" in refusal("select", runs / "x" / "y")
    assert "is not a directory" in refusal("list", runs / "nowhere")


def test_list(runs):
    result = run("list", runs)
    line = next(line for line in result.stdout.splitlines() if "complete" in line)
    assert line.split()[-7:] == ["complete", "4/5", "1", "2", "95.00%", "2026-11-21", "10:00"]
    (found,) = json.loads(run("list", runs, "--json").stdout)
    assert found["run"] == str(runs / "digits")
    assert found["best_accuracy"] == 0.95


def test_list_takes_its_directory_either_way(runs):
    assert run("list", "--runs-dir", runs).stdout == run("list", runs).stdout
    assert refusal("list", runs, "--runs-dir", runs) == (
        "give ROOT or --runs-dir, not both: they are the same"
    )


def test_list_names_the_directory_once_and_fits_80_columns(runs):
    for name in ("a-name-of-some-length-that-says-much", "b"):
        meta = RunStore.open(runs / "digits").meta.model_copy(update={"name": name})
        store = RunStore.create(runs / name, meta=meta, sweep_text="")
        store.write(trial(1, 0.8, 100, status="pruned"))
    lines = run("list", runs).stdout.splitlines()
    assert lines[0] == f"in {runs}" or runs.name in lines[0]
    table = [line for line in lines if "complete" in line]
    assert sorted(line.split()[0] for line in table) == [
        "a-name-of-some-length-that-says-much"[: len(table[0].split()[0])], "b", "digits"
    ]  # fmt: skip
    # The names need the room of the time of day.
    assert all(line.split()[-1] == "2026-11-21" for line in table)
    assert max(map(len, lines[2:])) <= 80


def test_status_shows_what_runs_and_counts_the_rest(runs):
    meta = RunStore.open(runs / "digits").meta.model_copy(update={"status": "running"})
    store = RunStore.create(runs / "second", meta=meta, sweep_text="")
    one_has_ended = (
        "1 run has ended: `kdsweep list` names them, `kdsweep status --all` shows them\n"
    )
    with store.hold():
        said = run("status", "--runs-dir", runs).stdout
        assert said.startswith(f"{runs / 'second'}: running\n")
        assert said.endswith(one_has_ended)
        assert str(runs / "digits") not in said
    # One that has died is not forgotten.
    assert f"{runs / 'second'}: died" in run("status", "--runs-dir", runs).stdout
    everything = run("status", "--runs-dir", runs, "--all").stdout
    assert f"{runs / 'digits'}: complete\n" in everything
    assert "--all" not in everything
    store.update_meta(status="complete")
    said = " ".join(run("status", "--runs-dir", runs).stdout.split())
    assert said.startswith(f"no run in {runs} is running; 2 runs have ended: `kdsweep list`")
    assert json.loads(run("status", "--runs-dir", runs, "--json").stdout) == []
    assert len(json.loads(run("status", "--runs-dir", runs, "--json", "--all").stdout)) == 2


def test_list_tells_a_running_sweep_from_one_whose_driver_is_gone(runs):
    store = RunStore.open(runs / "digits")
    store.update_meta(status="running")
    assert json.loads(run("list", runs, "--json").stdout)[0]["status"] == "died"
    with store.hold():
        assert json.loads(run("list", runs, "--json").stdout)[0]["status"] == "running"


def test_list_without_runs(tmp_path):
    assert run("list", tmp_path).stdout == f"no runs in {tmp_path}\n"
    assert json.loads(run("list", tmp_path, "--json").stdout) == []


def test_select_names_the_files(runs):
    result = run("select", runs / "digits", "--max-params", 5000)
    assert result.exit_code == 0
    chosen, _, others = result.stdout.partition("Next best that fit")
    assert "t1" in chosen.split()
    assert "t3" in others.split()
    assert str(runs / "digits" / "trials" / "t1" / "trial.yaml") in result.stdout
    assert str(runs / "digits" / "trials" / "t1" / "student.safetensors") in result.stdout


def test_select_as_json(runs):
    found = json.loads(
        run("select", runs / "digits", "--min-accuracy", 0.79, "--max-macs", 1e6,
            "--prefer", "params", "--json").stdout
    )  # fmt: skip
    assert found["chosen"]["trial_id"] == "t1"
    assert [r["trial_id"] for r in found["runners_up"]] == ["t3"]
    assert found["rejected"] == [
        {"number": 2, "trial_id": "t2", "reasons": ["macs 1,280,000 > 1,000,000"],
         "on_front": True},
    ]  # fmt: skip
    assert (found["fitting"], found["prefer"]) == (2, "params")


def test_select_without_a_fit_says_what_to_relax_and_exits_with_one(runs):
    arguments = ("select", runs / "digits", "--max-params", 5000, "--min-accuracy", 0.9)
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "no student of digits fits",
        "  max params 20,000 (by 15,000) lets trial 2 (kd w2) fit",
        "  min accuracy 80.00% (--min-accuracy 0.8, by 10.00 points) lets trial 1 (kd w1)",
        "    fit",
    ]
    as_json = run(*arguments, "--json")
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)["chosen"] is None


def test_select_refuses_what_makes_no_sense(runs):
    assert refusal("select", runs / "digits", "--prefer", "speed") == (
        "--prefer 'speed' is not allowed (allowed: accuracy, params, latency, knee)"
    )
    assert run("select", runs / "digits", "--max-params", "-1").exit_code == 2
    assert run("select", runs / "digits", "--min-accuracy", "90").exit_code == 2
    assert run("select", runs / "digits", "--max-params", "nan").exit_code == 2


def test_size_is_in_thousands_of_bytes(runs):
    store = RunStore.open(runs / "digits")
    for result in store.read():
        size = {"size_bytes": 4 * result.metrics["params"]}
        store.write(result.model_copy(update={"metrics": {**result.metrics, **size}}))
    found = json.loads(run("select", runs / "digits", "--max-size-kb", 8, "--json").stdout)
    assert found["chosen"]["size_bytes"] == 4_000
    assert [r["trial_id"] for r in found["runners_up"]] == ["t3"]  # exactly 8 kB


def test_front_list_and_select_need_neither_torch_nor_ray_nor_mlflow(runs):
    code = """
import sys
from kdsweep.cli import app
for words in (["front", sys.argv[1]], ["list", sys.argv[2]], ["select", sys.argv[1]]):
    app(words, standalone_mode=False)
heavy = {"torch", "ray", "mlflow", "optuna", "matplotlib", "pandas"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(runs / "digits"), str(runs)],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def replicated(tmp_path):
    """A run of three points of two trials; of the last one a trial is missing."""
    meta = RunMeta(
        sweep_id="1" * 32, name="digits", created="2026-11-21T10:00:00+00:00", replicates=2,
        objectives={"accuracy": "max", "params": "min"}, trials=6, sampler="tpe",
    )  # fmt: skip
    store = RunStore.create(tmp_path / "again" / "digits", meta=meta, sweep_text="")
    accuracies = [(0.80, 0.84), (0.50, 0.99), (0.99,)]
    for point, found in enumerate(accuracies):
        for each, accuracy in enumerate(found):
            update = {"point": point, "replicate": each, "replicates": 2}
            store.write(trial(2 * point + each, accuracy, 1_000).model_copy(update=update))
            store.weights_of(f"t{2 * point + each}").write_bytes(b"")
    return store.directory


def test_front_of_replicates_is_of_means(replicated):
    found = json.loads(run("front", replicated, "--json").stdout)
    (only,) = found["front"]
    assert only["accuracy"] == pytest.approx(0.82)
    assert only["accuracy_std"] == pytest.approx(0.04 / 2**0.5)
    assert (only["point"], only["replicates"], only["trial_ids"]) == (0, 2, ["t0", "t1"])
    # Of two the lower one: what is handed out is no better than what is said of it.
    assert (only["trial_id"], only["weights"]) == ("t0", "trials/t0/student.safetensors")
    assert (found["complete"], found["planned"], found["front_size"]) == (5, 6, 1)
    assert found["best_accuracy"] == pytest.approx(0.82)
    shown = run("front", replicated).stdout
    assert "digits: 1 on the front of 2 complete points of 2 trials each" in shown
    assert "82.00% ±2.83" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80


def test_select_of_replicates_names_one_of_them(replicated):
    found = json.loads(run("select", replicated, "--json").stdout)
    assert found["chosen"]["trial_id"] == "t0"
    assert [r["trial_id"] for r in found["runners_up"]] == ["t2"]
    shown = run("select", replicated).stdout
    assert "trials      t0 t1\n" in shown
    assert f"weights     {replicated / 'trials' / 't0' / 'student.safetensors'}\n" in shown
    assert run("select", replicated, "--min-accuracy", 0.9).exit_code == 1


def test_a_point_that_is_not_whole_is_not_on_a_front(replicated):
    for key in ("t1", "t2"):
        (replicated / "trials" / key / "result.json").unlink()
    assert run("front", replicated).stdout == (
        "digits: no point with all of its 2 trials yet (3 recorded)\n"
    )


def test_select_says_why_and_what_the_others_cost(runs):
    said = run("select", runs / "digits", "--max-params", 5000).stdout
    assert "why         the most accurate of the 2 that fit; 19.00 points below the" in said
    assert "noise       the next one cannot be told from it by accuracy: 100 validation" in said
    assert "  t3  cnn w8, kd: 79.00%, 2,000 parameters\n" in said
    assert "      1.00 points less accurate (within the noise of ±" in said
    assert (
        "On the front, but not within the limits\n  t2  cnn w8, kd: params 20,000 > 5,000" in said
    )
    paths = ("trial file", "weights")
    assert max(len(line) for line in said.splitlines() if not line.startswith(paths)) <= 80


def test_select_respects_the_constraints_of_the_sweep(runs):
    RunStore.open(runs / "digits").update_meta(constraints={"params": {"max": 10_000}})
    found = json.loads(run("select", runs / "digits", "--json").stdout)
    assert found["chosen"]["trial_id"] == "t1"
    assert found["rejected"][0]["reasons"] == [
        "params 20,000 > 10,000 (the sweep's own constraint)"
    ]
    lifted = json.loads(run("select", runs / "digits", "--json", "--ignore-constraints").stdout)
    assert lifted["chosen"]["trial_id"] == "t2"


def test_select_within_a_distance_of_the_teacher(runs):
    found = json.loads(run("select", runs / "digits", "--within", 0.05, "--json").stdout)
    assert found["chosen"]["trial_id"] == "t2"
    refused = run("select", runs / "digits", "--within", 0.01)
    assert refused.exit_code == 1
    assert refused.stderr.splitlines()[1] == (
        "  within 4.00 points of the teacher (--within 0.04, by 3.00 points) lets trial 2"
    )
    (runs / "digits" / "trials" / "t0" / "result.json").unlink()
    assert "which this run does not know: give --min-accuracy" in refusal(
        "select", runs / "digits", "--within", 0.01
    )


def test_select_by_the_knee(runs):
    found = json.loads(run("select", runs / "digits", "--prefer", "knee", "--json").stdout)
    assert found["chosen"]["trial_id"] == "t2"
    assert found["why"].startswith("the better end: a front of two members")
