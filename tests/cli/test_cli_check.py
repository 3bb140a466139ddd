"""``kdsweep check`` and the command line around it, as a user meets them."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from calling import run
from small_runs import store_of

from kdsweep import __version__
from kdsweep.cli.check import as_text
from kdsweep.spec import ClusterSpec
from kdsweep.sweep_file import load, plan
from kdsweep.sweep_file.plan import Machine, resources

DIGITS = Path(__file__).parent.parent.parent / "search_spaces" / "digits.yaml"
SMALL = """
name: small
trial:
  data: {name: digits}
  teacher: {model: {name: cnn, width: 8, stages: 2}, train: {epochs: 3}}
  student: {name: cnn, width: 4, stages: 2, hidden: 12}
  train: {epochs: 2}
space:
  student.width: {choice: [2, 4]}
  student.hidden: {choice: [8, 16]}
  strategy: {choice: [none, {name: kd, alpha: {uniform: [0, 1]}}]}
search: {sampler: grid, grid_points: 3, trials: 10}
cluster: {concurrent_trials: 1}
"""


VARY = "where the epochs and the schedule of each trial, which vary, have a place for one"


@pytest.fixture
def small(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


def test_a_good_file_says_what_will_run(small, capsys):
    assert run("check", small.name) == 0
    out, err = capsys.readouterr()
    lines = [line.split() for line in out.splitlines()]
    assert out.startswith("small.yaml: good\n")
    assert err == ""
    # Two stages of a 3x3 convolution each, a hidden layer on 2x2 pixels, ten classes; with biases.
    smallest = (9 * 2 + 2) + (9 * 2 * 4 + 4) + (4 * 2 * 2 * 8 + 8) + (8 * 10 + 10)
    largest = (9 * 4 + 4) + (9 * 4 * 8 + 8) + (8 * 2 * 2 * 16 + 16) + (16 * 10 + 10)
    assert ["students", f"{smallest:,}", "params,"] in [line[:3] for line in lines]
    assert [f"{largest:,}", "params,"] in [line[:2] for line in lines]
    assert "  space       4 dimensions, 1 of them conditional" in out
    assert "  trials      12: 10 by grid + 2 controls (none, kd)" in out
    assert "6 points of the grid are left out" in out  # 2 * 2 * (1 + 3) = 16
    assert "  teacher     cnn, trained first for 3 epochs" in out
    text = " ".join(out.split())
    assert "1 lane x 1 worker x 1 CPU: fits this machine" in text
    assert "; a lane trains one trial at a time computing" in text
    assert "; a view is the data in one augmentation: " in text
    name = "kd w4 h12 T4 a0.1"
    assert f" names such as {name}: strategy, width, hidden, temperature, alpha" in text
    assert "  results     runs/small" in out
    assert all(len(line) <= 80 for line in out.splitlines())
    assert sorted(small.parent.iterdir()) == [small], "nothing on disk is touched"


def test_files_that_are_elsewhere_are_not_looked_for(small, capsys):
    """The plain check asks for both; with the option everything else is checked as ever."""
    text = SMALL.replace("train: {epochs: 3}", "weights: w.pt").replace(
        "{name: digits}", "{name: torchvision, dataset: CIFAR100, root: away}"
    )
    small.write_text(text)
    assert run("check", small.name) != 0
    assert "data.root: the files of CIFAR100 are not whole under" in capsys.readouterr().err
    assert run("check", small.name, "--elsewhere") == 0
    out = capsys.readouterr().out
    assert "  data        torchvision: 100 classes, images of 3x32x32" in out
    assert out.endswith("\n  files       data and weights were not looked for\n")
    assert sorted(small.parent.iterdir()) == [small], "nothing on disk is touched"
    small.write_text(text.replace("choice: [8, 16]", "choice: [8, 0]"))
    assert run("check", small.name, "--elsewhere") != 0
    assert "space.student.hidden: 0 is not allowed" in capsys.readouterr().err


def test_json_for_scripts(small, capsys):
    assert run("check", small, "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["num_dimensions"], data["num_conditional"], data["total"]) == (4, 1, 12)
    assert data["controls"] == ["none", "kd"]
    assert data["smallest"]["component"]["hidden"] == 8
    assert data["smallest"]["params"] < data["largest"]["params"]
    assert data["results"] == "runs/small"


def test_replicates_are_counted(small, capsys):
    small.write_text(SMALL.replace("trials: 10", "trials: 10, replicates: 4"))
    assert run("check", small.name) == 0
    out = capsys.readouterr().out
    assert "\n  trials      48: 4 replicates of 10 by grid + 2 controls (none, kd)\n" in out
    assert "6 points of the grid are left out" in out
    assert run("check", small.name, "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["total"], data["num_trials"], data["replicates"]) == (48, 10, 4)


def test_a_seed_in_the_space_beside_replicates_is_one_problem_among_others(small, capsys):
    text = SMALL.replace("trials: 10", "trials: 10, replicates: 4")
    small.write_text(
        text.replace("space:", "space:\n  seed: {choice: [0, 1]}", 1) + "clutser: {}\n"
    )
    assert run("check", small.name) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "clutser" in "".join(lines)
    assert sum("replicates is 4, and space varies seed" in line for line in lines) == 1


def test_every_problem_is_a_line_and_the_exit_code_is_2(small, capsys):
    small.write_text(SMALL.replace("epochs: 2", "epoch: 2").replace("[0, 1]", "[1, 0]"))
    before = small.read_bytes()
    assert run("check", small.name) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "error: small.yaml: trial.train.epoch: unknown key 'epoch'; did you mean 'epochs'? "
        "(allowed: batch_size, clip_norm, compile, epochs, label_share, label_smoothing, lr, "
        "memory_format, optimizer, precision, schedule)",
        "error: small.yaml: space.strategy[kd].alpha: [1, 0] is upside down: "
        "did you mean [0, 1]?",
    ]  # fmt: skip
    assert small.read_bytes() == before
    assert sorted(small.parent.iterdir()) == [small]


def test_a_missing_file(capsys):
    assert run("check", "nowhere.yaml") == 2
    assert capsys.readouterr().err == "error: nowhere.yaml: no such file\n"


def test_a_wrong_option_is_a_usage_error(small):
    assert run("check", small, "--jsn") == 2
    assert run("chek", small) == 2


def test_version(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out == f"kdsweep {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--help"]])
def test_help_reads_at_80_columns_with_an_example(arguments, capsys):
    assert run(*arguments) == 0
    out = capsys.readouterr().out
    assert "kdsweep check search_spaces/digits.yaml" in out
    assert all(len(line) <= 80 for line in out.splitlines())


def test_help_and_import_load_neither_torch_nor_ray():
    code = (
        "import sys; sys.argv = ['kdsweep', '--help']\n"
        "import kdsweep, kdsweep.cli\n"
        "try: kdsweep.cli.main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'ray', 'mlflow', 'optuna'} & set(sys.modules)\n"
        "print('LOADED', sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage: kdsweep" in done.stdout
    assert done.stdout.endswith("LOADED []\n")


def test_a_plan_without_a_trained_teacher(small):
    sweep = load(small)
    trial = sweep.spec.trial
    alone = trial.model_copy(update={"teacher": None})
    planned = plan(replace(sweep, spec=sweep.spec.model_copy(update={"trial": alone})))
    assert planned.teacher == "none"
    assert planned.controls == ("none",)
    loaded = trial.teacher.model_copy(update={"weights": "/t.pt", "train": None})
    sweep = replace(
        sweep,
        spec=sweep.spec.model_copy(update={"trial": trial.model_copy(update={"teacher": loaded})}),
    )
    assert plan(sweep).teacher == "cnn, loaded from /t.pt"


@pytest.mark.parametrize(
    ("asked", "machine", "lanes", "gpus", "fits"),
    [
        ({}, Machine(8, 0), 8, 0, True),
        ({"workers_per_trial": 2, "cpus_per_worker": 2}, Machine(8, 0), 2, 0, True),
        ({"cpus_per_worker": 0.5}, Machine(2, 0), 4, 0, True),
        ({}, Machine(8, 2), 8, 0.25, True),
        ({}, Machine(4, 8), 4, 1, True),
        ({"gpus_per_worker": 1}, Machine(8, 2), 2, 1, True),
        ({"gpus_per_worker": 0.5}, Machine(8, 2), 4, 0.5, True),
        ({"gpus_per_worker": 0}, Machine(8, 2), 8, 0, True),
        ({"concurrent_trials": 3}, Machine(8, 0), 3, 0, True),
        ({"concurrent_trials": 9}, Machine(8, 0), 9, 0, False),
        ({"cpus_per_worker": 4}, Machine(2, 0), 1, 0, False),
        ({"gpus_per_worker": 1}, Machine(8, 0), 1, 1, False),
    ],
)
def test_lanes_for_a_machine(asked, machine, lanes, gpus, fits):
    found = resources(ClusterSpec(**asked), machine)
    assert (found.lanes, found.gpus_per_worker) == (lanes, gpus)
    assert (found.problem is None) == fits


def test_what_does_not_fit_is_told_with_the_arithmetic(small):
    sweep = load(small)
    cluster = ClusterSpec(concurrent_trials=3, workers_per_trial=2, cpus_per_worker=1.5)
    sweep = replace(sweep, spec=sweep.spec.model_copy(update={"cluster": cluster}))
    text = " ".join(" ".join(as_text(sweep, plan(sweep, machine=Machine(4, 0)))).split())
    assert "3 lanes x 2 workers x 1.5 CPU: does not fit this machine" in text
    assert (
        "3 trials at once x 2 workers x 1.5 CPUs and 0 GPUs need 9 CPUs and 0 GPUs; "
        "this machine has 4 and 0"
    ) in text


def test_a_cluster_elsewhere_is_not_measured_here(small):
    sweep = load(small)
    cluster = ClusterSpec(address="head:6379")
    sweep = replace(sweep, spec=sweep.spec.model_copy(update={"cluster": cluster}))
    lines = as_text(sweep, plan(sweep))
    at = next(number for number, line in enumerate(lines) if line.startswith("  resources"))
    assert lines[at : at + 2] == [
        "  resources   as many lanes as fit x 1 worker x 1 CPU, on the cluster at",
        "              head:6379; a lane trains one trial at a time",
    ]


def test_the_digits_sweep_is_good(capsys):
    assert run("check", DIGITS) == 0
    assert "42: 40 by tpe + 2 controls (none, kd)" in capsys.readouterr().out


def test_the_sampler_and_why(small, capsys):
    assert run("check", small.name) == 0
    assert "\n  sampler     grid: as the file says\n" in capsys.readouterr().out
    small.write_text(SMALL.replace("sampler: grid, grid_points: 3, ", ""))
    assert run("check", small.name) == 0
    out = capsys.readouterr().out
    assert "\n  trials      12: 10 by tpe + 2 controls (none, kd)\n" in out
    assert "\n  sampler     tpe: 1 of 4 settings are asked only on some branches\n" in out
    assert run("check", small.name, "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["sampler"] == "tpe"
    assert data["sampler_why"] == "1 of 4 settings are asked only on some branches"


@pytest.mark.parametrize("sampler", ["", "sampler: tpe, "])
def test_no_point_of_a_finite_space_is_counted_twice(small, capsys, sampler):
    text = SMALL.replace("alpha: {uniform: [0, 1]}", "temperature: {choice: [4, 8]}")
    small.write_text(
        text.replace("sampler: grid, grid_points: 3, trials: 10", f"{sampler}trials: 99")
    )
    assert run("check", small.name) == 0
    out = capsys.readouterr().out
    # 2 x 2 x (1 + 2) = 12. The trial's hidden layer of 12 is none of the space: no control is.
    assert f"  trials      14: 12 by {'tpe' if sampler else 'random'} + 2 controls" in out
    assert ("random: each of the 12 points of the space once" in out) == (not sampler)
    small.write_text(small.read_text().replace("hidden: 12", "hidden: 8"))
    assert run("check", small.name) == 0
    assert "  trials      12: 10 by" in capsys.readouterr().out


# By the sums above, of width 2 and 8 hidden units: 322 parameters. The trial's own: 862.
@pytest.mark.parametrize(
    ("bound", "lines"),
    [
        ("params: {max: 2000}", []),
        ("accuracy: {min: 0.9}", []),
        (
            "params: {max: 400}",
            [
                "of 5 students at the ends of the space 4 do not meet them: "
                "params 538 is above 400",
                "the trial's own student does not meet them: params 862 is above 400",
            ],
        ),
        (
            "size_bytes: {min: 3000}",
            [
                "of 5 students at the ends of the space 3 do not meet them: "
                "size_bytes 1,288 is below 3,000"
            ],
        ),
    ],
)
def test_what_cannot_meet_the_constraints_is_said(small, capsys, bound, lines):
    small.write_text(f"{SMALL}constraints: {{{bound}}}\n")
    assert run("check", small.name) == 0
    out = capsys.readouterr().out
    assert all(len(line) <= 80 for line in out.splitlines())
    text = " ".join(out.split())
    assert re.findall(r"(?<= constraints ).*?(?= constraints | outputs )", text) == lines


def test_a_budget_of_replicates_pays_for_points(small, capsys):
    search = "search: {replicates: 3, budget: {epochs: 13}}"
    small.write_text(SMALL.replace("search: {sampler: grid, grid_points: 3, trials: 10}", search))
    assert run("check", small.name) == 0
    said = "13 epochs of students (2 points of 3 whole trials)"
    assert f"  budget      {said}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("train", "varied", "said"),
    [
        ("epochs: 2, schedule: per_rung", "",
         "none, no trial ends early: 2 epochs are too few for one"),
        ("epochs: 20, schedule: per_rung", "",
         "after epoch 3 and 9 of 20 the best one in 3 of those so far go on for their size, and "
         "the best of each octave (doubling) of size; the others end at that rung"),
        ("epochs: 12, schedule: {name: per_rung, ends: [0.1, 0.2]}", "",
         "none, no trial ends early: epochs 1 and 2 are before grace (3)"),
        ("epochs: 2", "train.epochs: {choice: [2, 20]}", VARY),
        ("epochs: 20", "train.schedule: {choice: [cosine, per_rung]}", VARY),
        ("epochs: 20", "train: {choice: [{epochs: 20}, {epochs: 40}]}", VARY),
        ("epochs: 20, schedule: per_rung",
         "train: {choice: [{schedule: per_rung, lr: 0.1}, {schedule: per_rung, lr: 0.2}]}",
         "after epoch 3 and 9 of 20 the best one in 3 of those so far go on for their size, and "
         "the best of each octave (doubling) of size; the others end at that rung"),
    ],
)  # fmt: skip
def test_where_trials_may_end_early_is_said(small, capsys, train, varied, said):
    text = SMALL.replace("train: {epochs: 2}", f"train: {{{train}}}")
    small.write_text(text.replace("space:\n", f"space:\n  {varied}\n"))
    assert run("check", small.name) == 0
    assert f" rungs {said} outputs " in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("bound", "said"),
    [
        (
            "params: {max: 50}",
            "constraints.params.max: 50 is less than the smallest student of the space has (322); "
            "raise it, or let the space make smaller ones",
        ),
        (
            "params: {min: 863, max: 864}",
            "constraints: none of the 5 students of the space is within all of params; widen "
            "them, or the space",
        ),
        (
            "size_bytes: {min: 1.0e+6}",
            "constraints.size_bytes.min: 1,000,000 is more than the largest student of the space "
            "has (4,136); lower it, or let the space make larger ones",
        ),
    ],
)
def test_bounds_that_no_student_of_the_space_meets_are_refused(small, capsys, bound, said):
    small.write_text(f"{SMALL}constraints: {{{bound}}}\n")
    assert run("check", small.name) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_of_several_teachers_each_has_a_line(small, capsys):
    further = "  teachers: {large: {model: {name: cnn, width: 12}, train: {epochs: 1}}}\n  student:"
    small.write_text(SMALL.replace("  student:", further))
    assert run("check", small.name) == 0
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("  teacher     teacher: cnn, trained first for 3 epochs")
    assert lines[at + 1] == "              large: cnn, trained first for 1 epoch"


def test_a_run_of_that_name_that_is_there_is_said(small, capsys):
    store_of(small.parent)
    assert run("check", small.name) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert out.endswith("runs/small is there already: `kdsweep run` needs another `--name NAME`")


def test_a_strangers_file_says_nothing_to_the_terminal(small, capsys):
    # As text in YAML a character may be written by its number.
    small.write_text(SMALL.replace("name: small", r'name: "\e]0;pwn\a"', 1))
    run("check", small.name)
    assert not set("".join(capsys.readouterr())) & {"\x1b", "\x07"}
