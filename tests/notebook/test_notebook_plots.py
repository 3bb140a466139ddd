"""The pictures of a sweep in a notebook."""

import copy
import inspect
import json

import plotly.graph_objects as go
import pytest
from noted_sweeps import KD, run_of, student

import kdsweep
from kdsweep.errors import ResultError
from kdsweep.report.pictures import PICTURES


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """Twenty students, the more accurate the wider they are."""
    monkeypatch.chdir(tmp_path)
    records = [
        student(
            number, 0.5 + number / 50, 100.0 + number, width=number + 1, strategy=KD,
            role="control" if number == 0 else "trial", seconds=1.0,
        )
        for number in range(20)
    ]  # fmt: skip
    run_of(records, home=tmp_path)
    return kdsweep.load("runs/digits")


def test_every_picture_is_a_method_that_gives_a_figure(sweep):
    assert set(dir(sweep.plot)) == set(PICTURES)
    assert "front()" in repr(sweep.plot)
    for name, picture in PICTURES.items():
        method = getattr(sweep.plot, name)
        first, *rest = inspect.getdoc(method).splitlines()
        assert first == f"{picture.title}, as a figure of Plotly."
        assert picture.caption in rest
        assert repr(method).startswith(f"<function Plots.{name} ")
        figure = method()
        assert isinstance(figure, go.Figure)
        json.loads(figure.to_json())


def test_the_front_is_drawn_in_the_numbers_of_the_sweep(sweep):
    figure = sweep.plot.front()
    drawn = {(x, y) for trace in figure.data for x, y in zip(trace.x, trace.y, strict=True)}
    for row in sweep.front.itertuples():
        assert any(x == row.params and y == pytest.approx(100 * row.accuracy) for x, y in drawn), (
            row
        )


def test_what_mattered_is_a_table_too(sweep):
    table = sweep.importance
    assert list(table.columns) == [
        "objective", "setting", "share", "chance", "above_chance", "students"
    ]  # fmt: skip
    rows = table.set_index("setting")
    assert set(rows["objective"]) == {"accuracy"}
    assert set(rows.index) == {"student.width", "strategy"}
    assert rows["share"].sum() == pytest.approx(1)
    # The wider the better, and all have the same strategy.
    assert rows.loc["student.width"].above_chance
    assert (rows.loc["strategy"].share, rows.loc["strategy"].above_chance) == (0, False)
    assert str(table["students"].dtype) == "Int64"
    assert table.attrs == {"missing": {}}


def test_an_unknown_picture_is_told_with_those_that_there_are(sweep):
    with pytest.raises(AttributeError, match=r"no picture named 'fron'; did you mean 'front'\?"):
        sweep.plot.fron  # noqa: B018
    assert repr(copy.copy(sweep.plot)) == repr(sweep.plot)


def test_where_there_is_nothing_to_show_it_is_said(tmp_path):
    sweep = kdsweep.load(run_of([student(0, 0.5, 10.0)], home=tmp_path).directory)
    with pytest.raises(ResultError, match="there is nothing to show of 'coordinates' yet"):
        sweep.plot.coordinates()
    why = "No importance for accuracy: there is 1 complete trial, and 12 are needed."
    with pytest.warns(UserWarning, match=why):
        table = sweep.importance
    assert len(table) == 0
    assert table.attrs["missing"] == {"accuracy": why}
    (annotation,) = sweep.plot.importance().layout.annotations
    assert annotation.text.replace("<br>", " ") == why


def test_a_sweep_file_that_cannot_be_read_is_named(sweep, tmp_path):
    (tmp_path / "runs" / "digits" / "sweep.yaml").write_text("space: [")
    with pytest.raises(ResultError, match=r"runs/digits/sweep.yaml: "):
        sweep.plot.importance()
    # The axes of the other are scaled by what the students have.
    assert sweep.plot.coordinates().data
