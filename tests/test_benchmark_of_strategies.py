"""What benchmarks/strategies.py says of its numbers, and that it goes on where it was stopped."""

import json
import sys
from importlib import import_module
from pathlib import Path

import pytest

from kdsweep import catalog
from kdsweep.train.needs import needs_of

FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module", autouse=True)
def _from_the_folder_of_the_scripts():
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path.remove(str(FOLDER))


@pytest.fixture
def tables():
    return import_module("strategy_tables")


@pytest.fixture
def trials():
    return import_module("strategy_trials")


def compared(tables, control, other):
    found = {"none": dict(enumerate(control)), "kd": dict(enumerate(other))}
    return tables.compare(found, {}, seeds=len(control))[1]


def test_the_interval_by_hand(tables):
    # Differences 1 .. 5: mean 3, deviation sqrt(5/2); Student's t at 97.5 %, 4 degrees: 2.7764.
    found = compared(tables, [10, 20, 30, 40, 50], [11, 22, 33, 44, 55])
    assert found.differences == (1, 2, 3, 4, 5)
    assert found.interval == pytest.approx((3 - 1.96325, 3 + 1.96325), abs=1e-4)


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        ((1, 2, 3, 4, 5), "above 0"),
        ((-1, -2, -3, -4, -5), "below 0"),
        ((-2, -1, 0, 1, 2), "contains 0"),
        ((0, 1, 2, 3, 4), "above 0"),
        ((-1, 0, 1, 2, 3), "contains 0"),  # 1 +- 1.96
        ((5,), "unknown"),
    ],
)
def test_the_verdict_is_where_the_interval_lies(tables, gains, verdict):
    found = compared(tables, [50.0] * len(gains), [50.0 + gain for gain in gains])
    assert found.verdict == verdict
    (said,) = [s for s in tables.sentences([found]) if "kd" in s]
    assert said.startswith(
        {
            "above 0": "More accurate than none:",
            "below 0": "Less accurate than none:",
            "contains 0": "Not to be told from none",
            "unknown": "Too few trials",
        }[verdict]
    )


def test_a_seed_that_failed_on_either_side_is_not_paired_and_is_told(tables):
    found = {"none": {0: 50.0, 1: 60.0, 2: 70.0}, "kd": {0: 55.0, 2: 71.0, 3: 99.0}}
    row = tables.compare(found, {}, seeds=4)[1]
    assert row.differences == (5.0, 1.0)
    assert row.cells[0].endswith("(3 of 4)")


def test_a_row_of_failures_alone_has_no_numbers(tables):
    row = tables.compare({"none": {0: 50.0}, "kd": {}}, {}, seeds=1)[1]
    assert row.cells == ("failed 1 of 1", "", "")
    assert row.verdict == "unknown"


def test_what_would_exclude_zero_by_chance_is_counted(tables):
    rows = [compared(tables, [1.0, 2.0, 3.0], [1.0, 2.5, 2.5])] * 40
    said = tables.summary([rows])
    assert "Of 40 comparisons" in said
    assert "about 2 of so many" in said


def test_every_strategy_has_a_row_and_every_setup_its_control(trials):
    setups = trials.setups()
    names = {name for s in setups for row in s.rows for name in trials.called(row).split(" + ")}
    assert names == set(catalog.names("strategy"))
    assert all(trials.called(setup.rows[0]) == "none" for setup in setups)


def test_a_row_and_its_control_differ_in_nothing_but_the_strategy(trials):
    for job in trials.jobs(trials.setups(), seeds=2):
        control = job.setup.trial({"name": "none"}, job.labels, job.seed)
        assert (job.trial.data, job.trial.student) == (control.data, control.student)
        assert job.trial.seed == control.seed == job.seed
        same = {"label_share": control.train.label_share}
        assert job.trial.train.model_copy(update=same) == control.train
        if needs_of(job.trial.strategy).data:
            assert job.trial.train.label_share == trials.LABEL_SHARES[job.labels]


def test_the_teacher_knows_all_labels(trials):
    jobs = list(trials.jobs(trials.setups(), seeds=1))
    teachers = [t for job in jobs for t in job.trial.all_teachers.values()]
    assert {teacher.training.label_share for teacher in teachers} == {1.0}


def test_without_data_a_trial_is_the_same_whatever_the_labels_and_runs_once(trials):
    jobs = list(trials.jobs(trials.setups(), seeds=1, only=["data_free"]))
    keys = [job.key for job in jobs if job.row == "data_free"]
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_only_keeps_a_strategy_alone_and_with_kd_and_the_control(trials):
    jobs = trials.jobs(trials.setups()[:1], seeds=1, only=["fitnet"])
    assert {job.row for job in jobs} == {"none", "fitnet", "kd + fitnet"}


def test_the_log_drops_a_line_that_was_cut_off_and_keeps_the_last_of_a_task(tmp_path):
    log_class = import_module("strategy_runs").Log
    path = tmp_path / "log.jsonl"
    lines = [{"key": "a", "status": "failed"}, {"key": "a", "status": "complete"}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"key": "b", "sta')
    log = log_class(path)
    assert log.by_key == {"a": lines[1]}
    log.add({"key": "c", "status": "complete"})
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["a", "a", "c"]


def test_a_file_of_something_else_is_refused(tmp_path):
    log_class = import_module("strategy_runs").Log
    path = tmp_path / "log.jsonl"
    path.write_text("accuracy,params\n")
    with pytest.raises(SystemExit, match="holds no results"):
        log_class(path)


def test_the_page_is_filled_between_its_marks_again_and_again(tmp_path):
    page = import_module("strategy_page")
    path = tmp_path / "results.md"
    digits, glyphs = page.marks("digits"), page.marks("glyphs")
    path.write_text("\n".join(["# Results", *digits, "", *glyphs, "", "The end.\n"]))
    for text in ("old", "new"):
        page.fill(path, "digits", text)
    page.fill(path, "glyphs", "others")
    assert path.read_text() == (
        f"# Results\n{digits[0]}\n\nnew\n\n{digits[1]}\n\n"
        f"{glyphs[0]}\n\nothers\n\n{glyphs[1]}\n\nThe end.\n"
    )


def test_a_page_without_marks_is_left_alone(tmp_path):
    page = import_module("strategy_page")
    path = tmp_path / "results.md"
    path.write_text("# Results\n")
    with pytest.raises(SystemExit, match=r"must have the lines .*, digits: begin"):
        page.fill(path, "digits", "new")
    assert path.read_text() == "# Results\n"
