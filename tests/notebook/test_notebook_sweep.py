"""A sweep in a notebook: what is loaded, how trials are named, what it shows of itself."""

import re
import subprocess
import sys
from importlib.resources import files

import numpy as np
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from noted_sweeps import KD, RECORDS, TEACHER, run_of, student, teacher_record, with_network

import kdsweep
from kdsweep.errors import KdsweepError, ResultError
from kdsweep.export.inputs import contract_of, steps_of
from kdsweep.export.student import student_of
from kdsweep.notebook.choice import NoStudentFits
from kdsweep.results.store import RunStore
from kdsweep.train.evaluate import evaluate


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_of([*RECORDS, teacher_record()], home=tmp_path)
    return "runs/digits"


@pytest.fixture
def sweep(place):
    return kdsweep.load(place)


def displayed(value):
    """What Jupyter is given to show."""
    return DisplayFormatter().format(value)[0]


def imported_after(program):
    """Which of the heavy libraries a program has imported at its end."""
    heavy = ["torch", "ray", "mlflow", "optuna", "pandas", "plotly", "matplotlib"]
    ask = f"import sys\n{program}\nprint(*[name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_kdsweep_itself_is_light_and_a_sweep_needs_pandas_alone(place):
    assert imported_after("import kdsweep; kdsweep.load; kdsweep.sweeps") == []
    looked_at = "s = kdsweep.load('runs/digits'); s.trials, s.front, s.epochs, repr(s), s.select()"
    assert imported_after(f"import kdsweep\n{looked_at}") == ["pandas"]


def test_who_uses_it_is_told_of_its_types():
    assert (files("kdsweep") / "py.typed").is_file()


def test_a_sweep_is_found_by_a_path_of_any_kind(place, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for given in (place, tmp_path / place, f"~/{place}"):
        assert kdsweep.load(given).name == "digits"


def test_what_is_no_run_is_told_in_a_sentence(place):
    with pytest.raises(ResultError, match=r"does not exist; did you mean runs/digits\?"):
        kdsweep.load("digits")
    with pytest.raises(ResultError, match=r"did you mean runs/digits\? \(runs in runs: digits\)"):
        kdsweep.load("runs/digit")


def test_what_is_known_of_the_sweep_as_a_whole(sweep):
    assert (sweep.name, sweep.status, sweep.place) == ("digits", "complete", "runs/digits")
    assert sweep.meta.objectives == {"accuracy": "max", "params": "min"}
    assert sweep.teacher == TEACHER
    assert sweep.problems == ()
    assert repr(sweep) == (
        "Sweep digits: complete, 4 of 5 trials complete, 3 on the front, best accuracy 95.00% "
        "(runs/digits)"
    )


def test_it_stays_as_it_was_until_it_is_reloaded(sweep, place):
    store = RunStore.open(sweep._store.directory)
    store.write(student(5, 0.99, 100.0, width=1))
    store.update_meta(status="stopped")
    assert (len(sweep.trials), sweep.status) == (5, "complete")
    assert sweep.reload() is sweep
    assert (len(sweep.trials), sweep.status) == (6, "stopped")
    assert list(sweep.front.index) == [5]


def test_a_run_that_nobody_drives_has_died(tmp_path):
    run_of([], home=tmp_path, status="running", teacher=None)
    sweep = kdsweep.load(tmp_path / "runs" / "digits")
    assert (sweep.status, sweep.teacher) == ("died", None)
    assert "<img" not in displayed(sweep)["text/html"]


def test_a_record_that_cannot_be_read_is_left_out_with_a_warning(sweep, place, tmp_path):
    (tmp_path / place / "trials" / "00002" / "result.json").write_text("{")
    with pytest.warns(UserWarning, match="it is left out") as warned:
        sweep.reload()
    assert warned[0].filename == __file__
    with pytest.warns(UserWarning, match="it is left out") as warned:
        again = kdsweep.load(place)
    assert warned[0].filename == __file__
    assert list(again.trials.index) == [0, 1, 3, 4]
    assert len(again.problems) == 1


def test_a_trial_is_named_by_whatever_one_has_of_it(sweep):
    front = sweep.front
    named = (
        3, "00003", front.iloc[-1], front.index[-1], next(front.iloc[[-1]].itertuples()),
        sweep.select(), sweep.trial(3), front.iloc[-1].to_dict(),
    )  # fmt: skip
    for given in named:
        assert sweep.trial(given).trial_id == "00003"
    assert sweep.trial("teacher-01234567").role == "teacher"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (7, r"there is no trial 7 \(have: 0 to 4\)"),
        (-1, r"there is no trial -1 \(have: 0 to 4\)"),
        ("0003", r"there is no trial '0003'; did you mean '00003'\? \(ids are as '00000'"),
        (1.0, r"1\.0 names no trial: give its number, its id, a row"),
        (True, r"True names no trial"),
        (None, r"None names no trial"),
        ([3], r"\[3\] names no trial"),
    ],
)
def test_a_trial_that_there_is_not_is_told_with_those_that_there_are(sweep, given, said):
    with pytest.raises(ResultError, match=f"runs/digits: {said}"):
        sweep.trial(given)


def test_a_table_of_several_trials_names_none(sweep):
    with pytest.raises(ResultError, match=r"names no trial.*front.iloc\[0\]"):
        sweep.trial(sweep.front)


def test_of_a_run_without_records_no_trial_can_be_named(tmp_path):
    run_of([], home=tmp_path)
    sweep = kdsweep.load(tmp_path / "runs" / "digits")
    for given in (0, "00000"):
        with pytest.raises(ResultError, match="no trial has a record yet"):
            sweep.trial(given)


def test_a_choice_of_another_run_is_refused(sweep, tmp_path):
    run_of(home=tmp_path, name="other")
    choice = kdsweep.load("runs/other").select()
    with pytest.raises(ResultError, match=r"runs/digits: the choice is of another run, runs/other"):
        sweep.trial(choice)


def test_a_student_is_a_network_in_evaluation_mode(tmp_path):
    store = run_of(home=tmp_path)
    network = with_network(store)
    sweep = kdsweep.load(store.directory)
    data = sweep.data(9).validation
    contract = contract_of(student_of(store, sweep.trial(9)), sweep.data(9))
    pixels = torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8)
    for given in (9, "00009", sweep.trials.loc[9]):
        found = sweep.student(given)
        assert not found.training
        offset, scale = steps_of(contract.normalisation)
        seen = (pixels.float() - offset) / scale
        assert torch.equal(found(pixels), network(seen))
        with pytest.raises(ResultError, match=r"takes pixels of torch\.uint8, 0 to 255"):
            found(seen)
    right = sum(
        (found(contract.raw(batch.inputs["images"])).argmax(dim=1) == batch.labels).sum().item()
        for batch in data.in_order(batch_size=64)
    )
    assert right / data.num_samples == pytest.approx(evaluate(network, data)[0])
    assert sweep.data(9).validation.num_samples == 359
    with pytest.raises(ResultError, match="there is no trial 10"):
        sweep.student(10)
    given_up = {"trial_id": "00010", "number": 10, "weights": None}
    store.write(sweep.trial(9).model_copy(update=given_up))
    with pytest.raises(ResultError, match="no weights are kept; `kdsweep trial "):
        sweep.reload().student(10)


def test_it_shows_name_state_front_and_picture(sweep):
    shown = displayed(sweep)
    assert shown["text/plain"] == repr(sweep)
    page = shown["text/html"]
    assert "<b>digits</b>: complete, 4 of 5 trials complete, 3 on the front" in page
    assert page.count("<tr>") == 4
    assert page.index("<td>500</td>") < page.index("<td>1,000</td>") < page.index("<td>2,000</td>")
    assert "<td>95.00%</td>" in page
    assert '<img alt="the front of digits" width="640" src="data:image/png;base64,' in page


def test_what_records_say_is_escaped_where_it_is_shown(tmp_path):
    evil = "<script>alert(1)</script>\x1b[2J"
    records = [
        student(0, 0.9, 100.0, name=evil, strategy={"name": evil, "alpha": 0.5}),
        student(1, 0.8, 90.0, name=evil, strategy={"name": evil, "alpha": 0.6}),
    ]
    run_of(records, home=tmp_path, name="digits", ended_by=evil)
    sweep = kdsweep.load(tmp_path / "runs" / "digits")
    sweep._store._meta = sweep.meta.model_copy(update={"name": evil})
    for shown in (displayed(sweep), displayed(sweep.select())):
        assert "<script>" not in shown["text/html"]
        assert "&lt;script&gt;" in shown["text/html"]
        assert "\x1b" not in shown["text/html"] + shown["text/plain"]


def test_names_are_completed(sweep):
    wanted = {"trials", "front", "epochs", "select", "student", "trial", "reload", "plot", "meta"}
    assert wanted <= set(dir(sweep))
    assert {"load", "sweeps"} <= set(dir(kdsweep))


def test_a_choice_says_why_and_what_else_there_is(sweep):
    choice = sweep.select(max_params=1_500)
    assert (choice.trial.number, choice.trial_id) == (0, "00000")
    assert choice.why.startswith("the most accurate of the 3 that fit; 6.00 points below the ")
    assert list(choice.runners_up.index) == [1, 2]
    assert choice.runners_up.loc[1, "against"].startswith("10.00 points less accurate")
    assert dict(choice.rejected["misses"]) == {3: "params 2,000 > 1,500"}
    shown = displayed(choice)
    assert shown["text/plain"] == f"trial 0 (none w8): {choice.why}"
    assert "<b>trial 0 (none w8)</b>" in shown["text/html"]
    assert "<code>runs/digits</code>" in shown["text/html"]


def test_a_choice_takes_what_the_command_takes(sweep):
    assert sweep.select(prefer="params").trial.number == 1
    assert sweep.select(max_size_kb=None, within=0.06, prefer="params").trial.number == 0
    assert sweep.select(prefer="knee").trial.number in (0, 1, 3)
    assert sweep.select(max_macs=64 * 600).trial.number == 1


def test_constraints_of_the_sweep_hold_unless_they_are_ignored(tmp_path):
    run_of(home=tmp_path, constraints={"params": {"max": 900.0}})
    sweep = kdsweep.load(tmp_path / "runs" / "digits")
    assert list(sweep.front.index) == [1]
    assert sweep.select().trial.number == 1
    assert sweep.select(ignore_constraints=True).trial.number == 3


def test_where_nothing_fits_it_is_said_what_to_relax(sweep):
    with pytest.raises(NoStudentFits) as refused:
        sweep.select(max_params=400)
    (problem,) = refused.value.problems
    assert problem.startswith("no student fits: max params 500 (by 100) lets trial 1 (kd w2) fit")
    assert isinstance(refused.value, KdsweepError)


def test_a_limit_that_cannot_be_is_refused(sweep):
    with pytest.raises(ResultError) as refused:
        sweep.select(min_accuracy=95, prefer="size")
    assert refused.value.problems == (
        "min_accuracy=95 is not allowed: must be from 0 to 1 (95% is 0.95)",
        "prefer='size' is not allowed (allowed: accuracy, params, latency, knee)",
    )
    with pytest.raises(ResultError, match="the limit of params is nan: it must be a number"):
        sweep.select(max_params=float("nan"))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"max_params": "x"}, "max_params='x' is not allowed: must be a number, or None"),
        ({"max_size_kb": -3}, "max_size_kb=-3 is not allowed: must not be negative"),
        ({"max_macs": [1]}, "max_macs=[1] is not allowed: must be a number, or None"),
        ({"max_size_kb": True}, "max_size_kb=True is not allowed: must be a number, or None"),
        ({"within": "1%"}, "within='1%' is not allowed: must be a number, or None"),
        ({"prefer": 3}, "prefer=3 is not allowed (allowed: accuracy, params, latency, knee)"),
        ({"prefer": ["knee"]}, "prefer=['knee'] is not allowed (allowed: accuracy, params, "),
    ],
)
def test_what_is_of_the_wrong_type_is_told_in_a_sentence(sweep, asked, said):
    with pytest.raises(ResultError) as refused:
        sweep.select(**asked)
    assert str(refused.value).startswith(said)


def test_numbers_of_numpy_are_numbers(sweep):
    assert sweep.select(max_params=np.int64(1_500), min_accuracy=np.float32(0.5)).trial.number == 0


@pytest.mark.parametrize("given", [None, 3, b"runs", "", ["runs/digits"]])
def test_what_is_no_path_is_told_in_a_sentence(sweep, given):
    as_it_is = re.escape(repr(given))
    with pytest.raises(ResultError, match=f"^{as_it_is} is no run: give a path or an address, as "):
        kdsweep.load(given)
    with pytest.raises(ResultError, match=f"^{as_it_is} is no directory of runs: give a path"):
        kdsweep.sweeps(given)
    with pytest.raises(ResultError, match=f"^{as_it_is} is no file: .*'report.html'"):
        sweep.report(given)


def test_formats_folders_and_devices_that_are_none(sweep):
    with pytest.raises(ResultError, match=r"^3 is no format: give 'onnx', or a list of names"):
        sweep.export(3, 3)
    with pytest.raises(ResultError, match=r"^3 is no folder: give a path"):
        sweep.export(3, out=3)
    for given in ("gpu", None, [1]):
        with pytest.raises(ResultError, match=f"device={re.escape(repr(given))} cannot be used"):
            sweep.student(3, device=given)


def test_settings_that_a_trial_lacks_are_missing(sweep):
    assert sweep.trials["strategy.temperature"].dropna().to_dict() == {1: KD["temperature"]} | {
        3: KD["temperature"]
    }
