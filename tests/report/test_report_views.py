import csv
import io
import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from kdsweep.report.axes import Axes, axes_of, focus, short, teacher_metrics
from kdsweep.report.labels import flatten, strategy_label, student_label, trial_name
from kdsweep.report.rows import completed, csv_text, rows
from kdsweep.report.run_table import run_row, run_table
from kdsweep.report.table import folded, trial_table, value_text
from kdsweep.report.text_plot import text_plot
from kdsweep.results.meta import RunMeta, TeacherMeta
from kdsweep.results.pareto import front
from kdsweep.results.record import TrialResult
from kdsweep.results.store import RunStore

TWO = {"accuracy": "max", "params": "min"}
FOUR = {**TWO, "loss": "min", "latency_ms": "min"}


def student(number, accuracy, params, *, role="trial", status="complete", **strategy):
    return TrialResult(
        trial_id=f"t{number}",
        number=number,
        role=role,
        status=status,
        name=f"trial {number}",
        trial={
            "student": {"name": "cnn", "width": 8, "depth": 2},
            "strategy": strategy or {"name": "none"},
        },
        changes={"student.width": 8, "strategy": strategy or {"name": "none"}},
        params={
            "student.width": 8,
            "strategy": strategy.get("name", "none"),
            **{f"strategy[kd].{key}": v for key, v in strategy.items() if isinstance(v, float)},
        },
        metrics={
            "accuracy": accuracy, "params": params, "macs": 64 * params,
            "loss": 1 - accuracy, "latency_ms": 0.5,
        },
    )  # fmt: skip


KD = {"name": "kd", "temperature": 4.25, "alpha": 0.3}
RUN = [
    student(0, 0.80, 1_000, **KD),
    student(1, 0.90, 10_000, role="control"),
    student(2, 0.78, 20_000, **KD),
    student(3, 0.95, 100_000, **KD, extra={"fitnet": {"weight": 1}, "attention_transfer": None}),
    student(4, 0.10, 90_000),
    student(5, 0.99, 500, status="failed"),
]
FRONT = front(RUN, TWO)


def run_meta(**more):
    return RunMeta(
        sweep_id="0" * 32,
        name="digits",
        created="2026-11-21T10:00:00+00:00",
        objectives=TWO,
        **more,
    )


def printed(table, width=80):
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    return console.file.getvalue()


def test_labels():
    assert [strategy_label(r) for r in RUN[:4]] == ["kd", "none", "kd", "kd+fitnet"]
    assert student_label(RUN[0]) == "cnn w8 d2"
    bare = RUN[0].model_copy(update={"trial": {"student": "mine:Net", "strategy": "kd"}})
    assert (student_label(bare), strategy_label(bare)) == ("Net", "kd")
    nothing = RUN[0].model_copy(update={"trial": {"strategy": None}})
    assert (student_label(nothing), strategy_label(nothing)) == ("-", "-")


def test_a_teacher_is_named_by_its_own_network():
    trial = {**RUN[0].trial, "teacher": {"model": {"name": "cnn", "width": 64}}}
    teacher = RUN[0].model_copy(update={"role": "teacher", "trial": trial})
    assert (student_label(teacher), strategy_label(teacher)) == ("cnn w64", "-")


def test_flatten_reaches_every_leaf():
    nested = {"a": {"b": 1, "c": [1, 2], "e": {}}, "d": None, "f": True, "g": "x"}
    assert flatten(nested) == {
        "a.b": 1, "a.c": "[1, 2]", "a.e": "{}", "d": "null", "f": True, "g": "x"
    }  # fmt: skip


def test_rows_have_numbers_that_json_has():
    diverged = RUN[0].model_copy(update={"metrics": {"loss": math.nan, "params": 10.0}})
    (found,) = rows([diverged])
    assert (found["loss"], found["params"], found["accuracy"]) == (None, 10, None)
    json.dumps(found, allow_nan=False)


def test_csv_has_a_column_for_every_changed_setting():
    rows = list(csv.DictReader(io.StringIO(csv_text(FRONT))))
    assert [r["number"] for r in rows] == ["0", "1", "3"]
    assert [r["strategy.temperature"] for r in rows] == ["4.25", "", "4.25"]
    assert rows[2]["strategy.extra.fitnet.weight"] == "1"


def test_the_front_fits_eighty_columns():
    text = printed(trial_table(FRONT, TWO, title="Front"))
    lines = [line.split() for line in text.splitlines()]
    assert ["cnn", "w8", "d2", "kd", "1,000", "64k", "80.00%", "4.25", "0.3", "t0"] in lines
    assert "none (control)" in text
    assert max(len(line) for line in text.splitlines()) <= 80
    wide = printed(trial_table(FRONT, FOUR))
    assert max(len(line) for line in wide.splitlines()) <= 80
    assert "MACs" not in wide
    assert "…" not in wide


def test_no_name_of_the_front_is_broken_within_a_word_at_eighty_columns():
    path = "strategy[kd].extra.attention_transfer.weight"
    long = [
        student(
            number, 0.8 + number / 100, 1_000 * number, **KD,
            extra={"attention_transfer": {"weight": number / 7}},
        ).model_copy(update={"params": {path: number / 7, "train.a_schedule_of_mine": number}})
        for number in (1, 2)
    ]  # fmt: skip
    lines = [line.rstrip() for line in printed(trial_table(long, TWO, examples=100)).splitlines()]
    assert max(map(len, lines)) <= 80
    words = {word.partition("=")[0] for line in lines for word in line.split()}
    assert {"attention_transfer.weight", "a_schedule_of_mine", "kd+attention_transfer"} <= words
    # Below the table each trial has its settings in a line of its own.
    below = [line.split()[0] for line in lines if "a_schedule_of_mine=" in line]
    assert below == ["t1", "t2"]


@pytest.mark.parametrize(("text", "width", "lines"), [
    ("kd+attention_transfer", 20, ["kd+", "attention_transfer"]),
    ("kd+attention_transfer", 21, ["kd+attention_transfer"]),
    ("cnn w2 d1 s2 h16", 10, ["cnn w2 d1", "s2 h16"]),
    ("kd+attention_transfer", 12, ["kd+", "attention_", "transfer"]),
    ("a_name.of=parts", 7, ["a_name.", "of=", "parts"]),
    ("none", 2, ["none"]),
])  # fmt: skip
def test_labels_are_broken_between_words(text, width, lines):
    assert folded(text, width).split("\n") == lines


@given(st.text("ab+_. =-", max_size=40), st.integers(1, 30))
def test_a_broken_label_says_the_same(text, width):
    lines = folded(text, width).split("\n")
    assert "".join("".join(lines).split()) == "".join(text.split())
    words = re.split(r"[\s+._=-]", text)
    assert max(map(len, lines)) <= max(width, *(len(word) + 1 for word in words))


def test_settings_that_nobody_has_get_no_column():
    assert "alpha" not in printed(trial_table([RUN[1]], TWO))


def test_names_are_not_read_as_markup():
    odd = RUN[0].model_copy(update={"trial": {"student": {"name": "[bold]x"}}})
    assert "[bold]x" in printed(trial_table([odd], TWO))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (950, "950"), (999.6, "1k"), (12_345, "12.3k"), (999_960, "1M"), (1.74e6, "1.7M"),
     (123_456, "123k"), (3.0e9, "3G")],
)  # fmt: skip
def test_short(value, text):
    assert short(value) == text


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [("accuracy", 0.97531, "97.53%"), ("params", 12976266.0, "12,976,266"), ("macs", 2.5e6, "2.5M"),
     ("loss", 0.123456, "0.1235"), ("loss", math.nan, "nan"), ("latency_ms", None, "-")],
)  # fmt: skip
def test_value_text(metric, value, text):
    assert value_text(metric, value) == text


def test_axes_are_size_and_quality():
    assert axes_of(TWO) == Axes("params", "accuracy")
    assert axes_of({"loss": "min", "latency_ms": "min", "params": "min"}) == Axes(
        "latency_ms", "loss"
    )
    assert axes_of({"accuracy": "max"}) == Axes("params", "accuracy")
    assert Axes("params", "accuracy").point({"params": 10, "accuracy": 0.5}) == (10, 50)
    assert Axes("params", "accuracy").point({"params": 0, "accuracy": 0.5}) is None
    assert Axes("params", "accuracy").point({"params": 10, "accuracy": math.nan}) is None


def test_focus_keeps_the_front_and_leaves_chance_out():
    low, high = focus([80, 90, 95], [10, 75, 80, 90, 95])
    assert low < 75 < 95 < high
    assert low > 10
    low, high = focus([90], [90])
    assert low < 90 < high
    low, high = focus([], [3, 4])
    assert low < 3 < 4 < high


def test_teacher_is_found_in_its_record_or_in_the_notes():
    record = student(9, 0.99, 150_000, role="teacher")
    assert teacher_metrics(run_meta(), [*RUN, record]) == record.metrics
    noted = run_meta(teacher=TeacherMeta(hash="x", accuracy=0.98, params=5, reused=True))
    assert teacher_metrics(noted, RUN) == {"accuracy": 0.98, "params": 5.0}
    assert teacher_metrics(run_meta(), RUN) is None


def test_of_several_teachers_the_trials_own_is_shown():
    records = [
        student(9, 0.44, 5_000, role="teacher").model_copy(update={"trial_id": "teacher-deadbeef"}),
        student(9, 0.84, 20_000, role="teacher").model_copy(
            update={"trial_id": "teacher-0123abcd"}
        ),
    ]
    noted = run_meta(teacher=TeacherMeta(hash="0123abcdef"))
    assert teacher_metrics(noted, records) == records[1].metrics
    assert teacher_metrics(noted, records[::-1]) == records[1].metrics


def test_the_numbers_of_another_teacher_are_never_shown():
    other = student(9, 0.44, 5_000, role="teacher").model_copy(
        update={"trial_id": "teacher-deadbeef"}
    )
    noted = run_meta(teacher=TeacherMeta(hash="0123abcdef", accuracy=0.84))
    assert teacher_metrics(noted, [other]) == {"accuracy": 0.84}
    # Nothing says which of two is the trial's own.
    another = other.model_copy(update={"trial_id": "teacher-00000000"})
    assert teacher_metrics(run_meta(), [other, another]) is None


def test_text_plot_by_hand():
    plot = text_plot(
        RUN, FRONT, TWO, teacher={"params": 1e6, "accuracy": 0.98}, width=37, height=10
    )
    assert plot.splitlines() == [
        "validation accuracy [%]",
        "   98 │                             ★",
        "      │                   ●",
        "      │          ◈",
        "   86 │",
        "      │●",
        "   78 │             ·",
        "      └──────────────────────────────",
        "       1k          31.6k           1M",
        "       student parameters   ● front ◆ control ◈ both · other ★ teacher",
    ]


def test_a_control_on_the_front_is_told_from_one_that_is_not():
    """As many marks of the front as there are members."""
    beaten = student(6, 0.85, 50_000, role="control")
    plot = text_plot([*RUN, beaten], front([*RUN, beaten], TWO), TWO)
    *marks, below = plot.splitlines()
    drawn = "".join(marks)
    assert (drawn.count("●"), drawn.count("◈"), drawn.count("◆")) == (2, 1, 1)
    assert below.endswith("● front ◆ control ◈ both · other")
    without = text_plot([RUN[0], beaten], [RUN[0]], TWO)
    assert without.splitlines()[-1].endswith("● front ◆ control · other")
    assert "◈" not in without
    # With the longest name of an axis it fits into 80 columns, as `front` draws it.
    wide = text_plot(RUN, FRONT, {"accuracy": "max", "latency_ms": "min"}, teacher={
        "accuracy": 0.98, "latency_ms": 1.0}, width=79)  # fmt: skip
    assert "◈ both · other ★ teacher" in wide
    assert max(map(len, wide.splitlines())) <= 79


def test_text_plot_of_little():
    assert text_plot([], [], TWO) == ""
    assert text_plot([RUN[5]], [], TWO) == ""  # it failed
    single = text_plot([RUN[0]], [RUN[0]], TWO)
    assert single.splitlines()[1].startswith("   80 │")
    assert single.count("●") == 2  # the point and the legend


def test_runs_at_one_address_are_listed_by_their_names(tmp_path):
    rows = [
        {**run_row(RunStore.create(tmp_path / name, meta=run_meta(), sweep_text=""), RUN, FRONT),
         "run": f"s3://bucket/a-long-path/to-the/sweeps-of-all/{name}"}
        for name in ("small", "large")
    ]  # fmt: skip
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(run_table(rows))
    lines = [line.strip() for line in console.export_text().splitlines() if line.strip()]
    assert lines[0] == "in s3://bucket/a-long-path/to-the/sweeps-of-all"
    assert [line.split()[0] for line in lines[1:] if not line.startswith("─")] == [
        "run", "small", "large"
    ]  # fmt: skip


def test_pruned_and_failed_trials_of_a_list_have_ended_and_stopped_ones_have_not(tmp_path):
    statuses = {"complete": 28, "pruned": 13, "failed": 1, "stopped": 3}
    row = run_row(RunStore.create(tmp_path / "digits", meta=run_meta(), sweep_text=""), RUN, FRONT)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(run_table([{**row, **statuses, "planned": 45}]))
    shown = console.export_text()
    assert "ended" in shown
    assert "42/45" in shown


def point(number, accuracies, params, *, role="trial", **strategy):
    """The replicates of a point."""
    num = len(accuracies)
    return [
        student(num * number + i, accuracy, params, role=role, **strategy).model_copy(
            update={"point": number, "replicate": i, "replicates": num}
        )
        for i, accuracy in enumerate(accuracies)
    ]


# Means 0.8, 0.9 and 0.95 as in RUN; point 3 has one of two.
POINTS = [
    *point(0, [0.75, 0.85], 1_000, **KD),
    *point(1, [0.90, 0.90], 10_000, role="control"),
    *point(2, [0.94, 0.96], 100_000, **KD),
    point(3, [0.99, 0.99], 500)[0],
]
POINT_FRONT = front(POINTS, TWO)


def test_the_row_of_a_point_has_mean_deviation_and_trials():
    found = rows(POINT_FRONT)[0]
    assert found["accuracy"] == pytest.approx(0.8)
    assert found["accuracy_std"] == pytest.approx(0.1 / 2**0.5)
    assert found["loss_std"] == pytest.approx(0.1 / 2**0.5)
    assert found["latency_ms_std"] == 0
    assert (found["point"], found["replicates"], found["trial_ids"]) == (0, 2, ("t0", "t1"))
    assert (found["number"], found["trial_id"]) == (0, "t0")
    json.dumps(found, allow_nan=False)
    assert not {"point", "replicates", "trial_ids", "accuracy_std"} & set(rows(FRONT)[0])


def test_csv_of_points():
    rows = list(csv.DictReader(io.StringIO(csv_text(POINT_FRONT))))
    assert [r["trial_ids"] for r in rows] == ["t0 t1", "t2 t3", "t4 t5"]
    assert [r["replicates"] for r in rows] == ["2"] * 3
    assert [float(r["accuracy"]) for r in rows] == pytest.approx([0.8, 0.9, 0.95])
    assert [r["strategy.temperature"] for r in rows] == ["4.25", "", "4.25"]
    assert "seed" not in rows[0]


def test_the_table_of_points_shows_the_deviation_and_fits_eighty_columns():
    text = printed(trial_table(POINT_FRONT, TWO, title="Front"))
    lines = [line.split() for line in text.splitlines()]
    # Student's t of one degree is 12.706: 80 ±63.5 points, of which none lie above 100.
    assert ["cnn", "w8", "d2", "kd", "1,000", "80.00%", "±7.07", "16.5-100.0", "2", "t0"] in lines
    assert ["t0", "T=4.25", "alpha=0.3"] in lines
    control = next(line for line in text.splitlines() if "(control)" in line)
    assert control.split()[5:] == ["10,000", "90.00%", "90.0-90.0", "2", "t2"]
    assert "mean ± standard deviation over n trials" in text
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "standard deviation" not in printed(trial_table(FRONT, TWO))
    wide = printed(trial_table(front(POINTS, FOUR), FOUR))
    assert max(len(line) for line in wide.splitlines()) <= 80
    assert "…" not in wide
    assert "0.2 ±0.071" in wide


def test_the_plot_of_points_has_one_mark_for_each_whole_one():
    # As by hand above, but for the trial that is not on the front.
    plot = text_plot(POINTS, POINT_FRONT, TWO, width=37, height=10).splitlines()
    marks = "".join(plot[1:-3])
    assert (marks.count("●"), marks.count("◈"), marks.count("·")) == (2, 1, 0)
    assert plot[1].startswith("   95 │")
    assert text_plot(POINTS[-1:], [], TWO) == ""


def test_what_there_is_to_choose_from_in_words():
    assert completed(RUN, "complete") == "5 complete trials"
    assert completed(POINTS, "complete") == "3 complete points of 2 trials each"
    assert completed(POINTS[:2]) == "1 point of 2 trials each"
    assert completed([]) == "0 trials"


def test_what_the_search_drew_is_in_the_name_of_a_trial():
    trial = {
        "student": {"name": "cnn", "width": 8, "batch_norm": True},
        "strategy": {"name": "kd", "temperature": 4.0, "extra": {"transformer": {}}},
    }
    drawn = {
        "student.width": 8, "student.batch_norm": True, "strategy": "kd", "train.lr": 0.01,
        "strategy[kd].temperature": 4.0, "strategy[kd].extra.transformer.hidden_weight": 0.31234,
        "strategy[kd].extra.transformer": None, "strategy[kd].teachers": "[a, b]", "pair": "r110",
    }  # fmt: skip
    assert trial_name(trial, drawn) == (
        "kd+transformer w8 T4 batch_norm=true transformer.hidden_weight=0.312"
    )
    assert trial_name(trial) == "kd+transformer w8 T4"


def test_which_extra_was_drawn_is_said_once():
    trial = {
        "student": {"name": "cnn", "width": 8},
        "strategy": {"name": "kd", "extra": {"fitnet": {"weight": 0.5}}},
    }
    drawn = {"strategy[kd].extra": "option 1", "strategy[kd].extra[option 1].fitnet.weight": 0.5}
    assert trial_name(trial, drawn) == "kd+fitnet w8 u0.5"


def test_weights_of_several_terms_are_told_by_their_names():
    path = "strategy[kd].extra.{}.weight"
    drawn = {path.format("fitnet"): 0.5, path.format("attention_transfer"): 2.0}
    extra = {"fitnet": {"weight": 0.5}, "attention_transfer": {"weight": 2.0}}
    trial = {"student": {"name": "cnn"}, "strategy": {"name": "kd", "extra": extra}}
    assert trial_name(trial, drawn) == (
        "kd+fitnet+attention_transfer fitnet.weight=0.5 attention_transfer.weight=2"
    )
    own = {"name": "fitnet", "weight": 1.0, "extra": {"rkd": {"weight": 0.25}}}
    assert trial_name({"strategy": own}, {path.format("rkd"): 0.25}) == (
        "fitnet+rkd u1 rkd.weight=0.25"
    )


@pytest.mark.parametrize(
    ("varied", "name"),
    [
        (None, "none w8 d1 s2"),
        ({"student.width", "train.lr"}, "none w8"),
        ({"student.stages", "student.width", "strategy"}, "none w8 s2"),
        # Nothing of the student is a question: all is told, as of a trial alone.
        ({"train.lr"}, "none w8 d1 s2"),
        # Another family has other sizes, and a pair may set them.
        ({"student", "student.width"}, "none w8 d1 s2"),
        ({"student.name", "student.width"}, "none w8 d1 s2"),
        ({"pair", "student.width"}, "none w8 d1 s2"),
    ],
)
def test_sizes_that_all_students_have_are_in_no_name(varied, name):
    trial = {"student": {"name": "cnn", "width": 8, "depth": 1, "stages": 2}, "strategy": "none"}
    assert trial_name(trial, varied=varied) == name


def test_the_sizes_of_text_networks_are_in_the_name_of_a_trial():
    trial = {"student": {"name": "distilbert", "layers": 2, "width": 32}, "strategy": "none"}
    assert trial_name(trial) == "none w32 l2"
    trial = {"student": {"name": "text_cnn", "width": 8, "filters": 16}, "strategy": "none"}
    assert trial_name(trial) == "none w8 f16"
