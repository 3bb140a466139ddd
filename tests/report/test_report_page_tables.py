"""The tables of the page: each thing once, and no accuracy without its interval."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
from sweep_views import NONE, RUN, replicated, student, view

from kdsweep.report.answers.section import percent_with
from kdsweep.report.answers.strategies import strategies
from kdsweep.report.html import breakable
from kdsweep.report.trial_sheet import front_table, trial_sheet

MEASURED = student(0, 0.80, 1_000, epochs=(0.11, 0.37, 0.80)).model_copy(
    update={"params": {"strategy": "kd", "strategy[kd].temperature": 4.25}}
)


def test_the_front_has_few_columns_and_says_each_thing_once():
    table = front_table(view([MEASURED, *RUN[1:]]))
    assert table.header == (
        "trial", "student", "strategy", "params", "accuracy", "95% interval", "settings"
    )  # fmt: skip
    # Wilson's interval of 80 of 100; of one without a setting there is nothing in its place.
    first, control, last = ([cell.text for cell in row] for row in table.rows)
    assert first == ["t0", "cnn w8", "kd", "1,000", "80.00%", "71.1-86.7", "T=4.25"]
    assert control[:3] == ["t1", "cnn w8", "none (control)"]
    assert (control[-1], last[2], last[-1]) == ("", "fitnet", "")
    assert table.note == (
        "Interval: where the accuracy in percent lies at 95 %, of 100 validation examples; the "
        "luck of a trial's seed is not in it."
    )


def test_an_objective_has_its_column_on_the_front_and_comes_first_in_the_sheet():
    measured = [
        student(number, 0.5 + number / 100, 10 * number, metrics={
            "accuracy": 0.5 + number / 100, "params": 10.0 * number, "macs": 64.0,
            "latency_ms": 0.5, "loss": 0.1,
        }) for number in (1, 2)
    ]  # fmt: skip
    found = view(measured, objectives={"accuracy": "max", "latency_ms": "min"})
    assert front_table(found).header[3:7] == ("params", "accuracy", "95% interval", "latency [ms]")
    header = trial_sheet(found, found.points).header
    assert header[:4] == ("trial", "student", "strategy", "status")
    assert header.index("latency [ms]") < header.index("loss") < header.index("MACs")
    assert "name" not in header


def test_the_sheet_sorts_intervals_by_their_lower_end():
    sheet = trial_sheet(view([MEASURED, *RUN[1:]]), view([MEASURED, *RUN[1:]]).points)
    at = sheet.header.index("95% interval")
    assert sheet.rows[0][at].value == pytest.approx(0.7112, abs=5e-5)
    assert (sheet.rows[5][at].text, sheet.rows[5][at].value) == ("-", None)  # it failed
    points = view(replicated(0, [0.75, 0.85], 1_000))
    sheet = trial_sheet(points, points.points)
    # Student's t of one degree is 12.706: 80 +-63.5 points, none of them above 100.
    assert sheet.rows[0][sheet.header.index("95% interval")].text == "16.5-100.0"
    assert "(Student's t)" in sheet.note


def test_what_cannot_be_known_has_no_interval():
    unknown = view([student(0, 1.0, 10), student(1, 0.0, 5, strategy=NONE)])
    table = front_table(unknown)
    assert [row[5].text for row in table.rows] == ["-"] * len(table.rows)
    assert table.note == ""
    assert percent_with(0.5, None).text == "50.00%"
    assert percent_with(None, (0.1, 0.2)).text == "-"


def test_the_best_of_a_strategy_has_its_interval_below_it():
    best = strategies(view([MEASURED, student(1, 0.7, 1_000)])).tables[0].rows[0][3]
    assert (best.text, best.value) == ("80.00%\n71.1-86.7", 0.8)


@pytest.mark.parametrize(("text", "shown"), [
    ("kd+attention_transfer", "kd+<wbr>attention_transfer"),
    ("weight=0.164", "weight=0.164"),
    ("a.b=c", "a.<wbr>b=<wbr>c"),
    ("a_very_long_name_of_a_class", "a_<wbr>very_<wbr>long_<wbr>name_<wbr>of_<wbr>a_<wbr>class"),
    ("<b>+x</b>", "&lt;b&gt;+<wbr>x&lt;/<wbr>b&gt;"),
])  # fmt: skip
def test_names_may_be_broken_between_their_parts(text, shown):
    assert breakable(text) == Markup(shown)


@given(st.text(), st.integers(1, 30))
def test_a_name_that_may_be_broken_is_still_escaped(text, longest):
    shown = str(breakable(text, longest)).replace("<wbr>", "")
    assert Markup(shown).unescape() == text
    assert "<" not in shown
