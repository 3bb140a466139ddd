import numpy as np
import pytest
from sweep_views import RUN, TWO, replicated, run_meta, shares, student, view

from kdsweep.report.picture_files import picture_files, write_pictures
from kdsweep.report.pictures import PICTURES, draw
from kdsweep.report.pictures.front import gather
from kdsweep.results.pareto import front
from kdsweep.results.store import RunStore

TEACHER = student(9, 0.98, 1e6, role="teacher", trial_id="teacher-0")
# Means 0.8, 0.9 and 0.95; point 3 has one of two.
POINTS = [
    *replicated(0, [0.75, 0.85], 1_000),
    *replicated(1, [0.90, 0.90], 10_000, role="control"),
    *replicated(2, [0.94, 0.96], 100_000),
    replicated(3, [0.99, 0.99], 500)[0],
]


def test_each_student_is_one_mark_by_what_it_is():
    data = gather(view([*RUN, TEACHER]))
    assert [(mark.x, mark.y) for mark in data.front] == [(1e3, 80), (1e4, 90), (1e5, 95)]
    assert [(mark.x, mark.y) for mark in data.controls] == [(1e4, 90)]
    assert [(mark.x, mark.y) for mark in data.others] == [(2e4, 78), (9e4, 10)]
    assert data.teacher == (1e6, 98)
    # The one at chance level lies below what is shown at first.
    assert data.low < 78 < 98 < data.high
    assert data.notes == "1 trial lies outside the picture"
    assert data.title == "digits: 5 complete trials"


def test_the_star_is_no_student():
    caption = PICTURES["front"].caption
    assert caption.startswith("Each mark is a student but for the star, which is the teacher;")


def test_pointing_at_a_student_says_name_strategy_temperature_and_alpha():
    said = gather(view(RUN)).front[0].hover
    for words in ("<b>kd 0</b>", "strategy kd", "T 4.25", "alpha 0.3", "accuracy 80.00%"):
        assert words in said
    assert "T " not in gather(view(RUN)).controls[0].hover


def test_the_bars_of_points_are_a_deviation_and_inside_the_picture():
    data = gather(view(POINTS))
    assert [mark.spread for mark in data.front] == pytest.approx([10 / 2**0.5, 0, 2 / 2**0.5])
    assert data.low < 80 - 10 / 2**0.5
    assert data.high > 95 + 2 / 2**0.5
    assert data.noun == "point"
    figure = PICTURES["front"].figure(view(POINTS)).to_plotly_json()
    (steps,) = [trace for trace in figure["data"] if trace["name"].startswith("Pareto")]
    assert steps["error_y"]["array"] == pytest.approx([10 / 2**0.5, 0, 2 / 2**0.5])
    assert steps["line"]["shape"] == "hv"


def test_more_than_two_objectives_are_projected_and_it_is_said():
    data = gather(view(RUN, objectives={**TWO, "loss": "min"}))
    assert data.note == "front over accuracy, params, loss, projected"


def test_nothing_is_drawn_of_a_sweep_without_complete_trials():
    nothing = view([RUN[5]])
    assert [picture.figure(nothing) for picture in PICTURES.values()] == [None] * 6
    assert [picture.png(nothing) for picture in PICTURES.values()] == [None] * 6


def test_every_picture_is_drawn_twice():
    drawn = draw(view([*RUN, TEACHER], shares(train__lr=(0.75, 0.2), student__width=(0.25, 0.3))))
    assert list(drawn) == list(PICTURES)
    for each in drawn.values():
        assert each.png.startswith(b"\x89PNG")
        assert len(each.png) > 10_000
        assert each.figure.data


def test_names_are_neither_tags_nor_formulas():
    """Plotly would show the one as a link, Matplotlib would refuse the other."""
    name = "<a href='x'>kd</a> $\\frac{$ w"
    odd = {"name": "mine:$x$<i>", "temperature": 2.0}
    results = [student(i, 0.5 + 0.1 * i, 10**i, strategy=odd, name=name) for i in (2, 3)]
    drawn = draw(view(results, name="$\\frac{$<b>"))
    assert {"front", "strategies", "hypervolume"} <= set(drawn)
    for each in drawn.values():
        assert "<a href" not in each.figure.to_json()
        assert "<i>" not in each.figure.to_json()


def test_files_are_written_whole_beside_the_records_and_listed(tmp_path):
    store = RunStore.create(tmp_path / "digits", meta=run_meta(), sweep_text="")
    given = shares(train__lr=(1.0, 0.5))
    written = write_pictures(store, RUN, front(RUN, TWO), given)
    names = [str(path.relative_to(store.directory)) for path in written]
    assert names == [
        "front.csv", "front.png",
        *(f"pictures/{name}.{kind}" for name in PICTURES for kind in ("html", "png")),
    ]  # fmt: skip
    assert picture_files(store) == written
    assert written[1].read_bytes() == (store.directory / "pictures" / "front.png").read_bytes()
    # The same again changes no file.
    before = {path: path.stat().st_mtime_ns for path in written}
    assert write_pictures(store, RUN, front(RUN, TWO), given) == written
    assert {path: path.stat().st_mtime_ns for path in written} == before


def test_what_there_is_nothing_to_show_of_goes_and_importance_stays(tmp_path):
    store = RunStore.create(tmp_path / "digits", meta=run_meta(), sweep_text="")
    write_pictures(store, RUN, front(RUN, TWO), shares(train__lr=(1.0, 0.5)))
    left = write_pictures(store, [RUN[5]], [], None)
    names = [str(path.relative_to(store.directory)) for path in left]
    assert names == ["front.csv", "pictures/importance.html", "pictures/importance.png"]


def test_epochs_that_a_driver_does_not_keep_are_read(tmp_path):
    store = RunStore.create(tmp_path / "digits", meta=run_meta(), sweep_text="")
    for result in RUN:
        store.write(result)
    kept = [result.model_copy(update={"epochs": ()}) for result in RUN]
    write_pictures(store, kept, front(kept, TWO), None)
    assert (store.directory / "pictures" / "curves.png").exists()


def test_a_link_in_place_of_the_folder_or_a_file_is_not_followed(tmp_path):
    store = RunStore.create(tmp_path / "digits", meta=run_meta(), sweep_text="")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (store.directory / "pictures").symlink_to(elsewhere)
    with pytest.raises(Exception, match="is a link, which could lead out of the run directory"):
        write_pictures(store, RUN, front(RUN, TWO), None)
    assert list(elsewhere.iterdir()) == []
    (store.directory / "front.csv").symlink_to(elsewhere / "secret")
    assert picture_files(store) == []


def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch):
    store = RunStore.create(tmp_path / "digits", meta=run_meta(), sweep_text="")
    before = sorted(path.name for path in store.directory.iterdir())

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kdsweep.storage.atomic.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_pictures(store, RUN, front(RUN, TWO), None)
    assert sorted(path.name for path in store.directory.iterdir()) == before


def test_a_png_has_no_transparent_ground():
    """It stands on the dark ground of a web page as well."""
    from io import BytesIO

    from PIL import Image

    picture = Image.open(BytesIO(PICTURES["front"].png(view(RUN))))
    assert np.asarray(picture.convert("RGBA"))[0, 0].tolist() == [255, 255, 255, 255]
