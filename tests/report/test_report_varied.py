import csv
import io
import json

import pytest
from rich.console import Console

from kdsweep.report.rows import csv_text, rows
from kdsweep.report.table import trial_table
from kdsweep.report.varied import settings_of, varied
from kdsweep.results.record import TrialResult

TWO = {"accuracy": "max", "params": "min"}
SIMILARITY = {"similarity": {"weight": 0.5}}


def result(number, strategy, *, changes=None, params=None, lr=1e-3, student=None, **more):
    student = student or {"name": "wide_resnet", "width": 8}
    return TrialResult(
        trial_id=f"{number:05d}",
        number=number,
        status="complete",
        name="a name",
        trial={"student": student, "strategy": strategy, "train": {"lr": lr}, **more},
        changes=changes or {},
        params=params or {},
        metrics={"accuracy": 0.5, "params": 1000.0, "macs": 64e3},
    )


def kd(number, *, weight=None, lr=1e-3):
    """A point of a space of train.lr and strategy; a weight is that of an extra."""
    extra = {"fitnet": None if weight is None else {"weight": weight}}
    strategy = {"name": "kd", "temperature": 2.0 + number, "extra": extra}
    params = {"train.lr": lr, "strategy": "kd", "strategy[kd].temperature": 2.0 + number,
              "strategy[kd].extra.fitnet": None if weight is None else "option 2"}  # fmt: skip
    if weight is not None:
        params["strategy[kd].extra.fitnet[option 2].weight"] = weight
    changes = {"train.lr": lr, "strategy": strategy}
    return result(number, strategy, changes=changes, params=params, lr=lr)


def transformer(number, *, layer_map="even", hidden_weight=1.0, lr=1e-3):
    strategy = {"name": "transformer", "layer_map": layer_map, "hidden_weight": hidden_weight}
    drawn = json.dumps(layer_map) if isinstance(layer_map, list) else layer_map
    params = {"train.lr": lr, "strategy": "transformer", "strategy[transformer].layer_map": drawn}
    changes = {"train.lr": lr, "strategy": strategy}
    return result(number, strategy, changes=changes, params=params, lr=lr)


CONTROL = result(0, {"name": "kd", "temperature": 4.0}, changes={"strategy": {"name": "kd"}})


def columns(results):
    return {each.header: each.texts for each in varied(results)}


def test_what_was_drawn_has_a_column_also_where_it_is_of_an_extra():
    assert columns([CONTROL, kd(1, weight=0.25, lr=0.01), kd(2)]) == {
        "lr": ("0.001", "0.01", "0.001"),
        "T": ("4", "3", "4"),
        "fitnet.weight": ("", "0.25", ""),
    }


def test_what_all_have_alike_has_no_column():
    assert set(columns([kd(1, lr=0.01), kd(2, lr=0.01)])) == {"T"}


def test_a_list_that_was_drawn_is_shown_and_one_that_is_long_is_cut_off():
    long = [[f"stages.{n}", f"stages.{2 * n}"] for n in range(9)]
    found = columns([transformer(1), transformer(2, layer_map=long)])["layer_map"]
    assert found[0] == "even"
    assert found[1].startswith('[["stages.0"')
    assert found[1].endswith("...")
    assert len(found[1]) == 40


def test_what_members_of_a_choice_set_is_shown_where_they_differ_in_it():
    # hidden_weight was not drawn: two members of the choice have it, each with its own.
    other = transformer(2, hidden_weight=2.0)
    assert columns([transformer(1), other]) == {"hidden_weight": ("1", "2")}
    # One alone that has it is told apart by its strategy.
    assert set(columns([transformer(1), kd(2)])) == {"layer_map", "T"}


def test_of_one_trial_alone_all_that_was_drawn_is_shown():
    assert columns([kd(1, weight=0.25)]) == {
        "lr": ("0.001",), "T": ("3",), "fitnet.weight": ("0.25",)
    }  # fmt: skip


def test_what_sets_several_paths_is_shown_by_its_name_and_not_by_what_it_sets():
    def pair(number, label, width, lr):
        strategy = {"name": "none"}
        return result(
            number, strategy, lr=lr, teacher={"model": {"name": "cnn", "width": width}},
            changes={"teacher.model.width": width, "train.lr": lr},
            params={"pair": label, f"pair[{label}].train.lr": lr},
        )  # fmt: skip

    found = [pair(1, "small", 16, 0.01), pair(2, "large", 64, 0.02)]
    assert columns(found) == {"lr": ("0.01", "0.02"), "pair": ("small", "large")}
    # A file has room for all of it.
    assert settings_of(found)[1] == {"teacher.model.width": 64, "train.lr": 0.02, "pair": "large"}


@pytest.mark.parametrize(
    ("path", "value", "header"),
    [("teacher.model.width", 32, "teacher.width"), ("teachers.big.weights", "a.pt", "big.weights"),
     ("train.optimizer", {"name": "sgd"}, "optimizer"), ("strategy.teachers", ["a"], "teachers"),
     ("data.limit", 100, "limit"), ("seed", 7, "seed"), ("train.clip_norm", None, "clip_norm")],
)  # fmt: skip
def test_headers_are_short(path, value, header):
    *above, last = path.split(".")
    trial = {"student": {"name": "cnn"}, "strategy": {"name": "kd"}}
    place = trial
    for key in above:
        place = place.setdefault(key, {})
    place[last] = value
    found = result(0, **trial_parts(trial), changes={path: value}, params={path: "drawn"})
    assert [each.header for each in varied([found])] == [header]


def trial_parts(trial):
    """The lr is set by ``train``, which the parameters of ``result`` have already."""
    return {**trial, "train": {"lr": 1e-3, **trial.get("train", {})}}


def test_two_settings_of_one_name_are_told_apart():
    def both(number):
        return result(
            number, {"name": "fitnet", "dropout": 0.1 * number},
            student={"name": "vit", "dropout": 0.2 * number},
            changes={"student.dropout": 0.2 * number, "strategy.dropout": 0.1 * number},
            params={"student.dropout": 0.2 * number, "strategy.dropout": 0.1 * number},
        )  # fmt: skip

    assert set(columns([both(1), both(2)])) == {"student.dropout", "strategy.dropout"}


def test_numbers_of_a_class_of_ones_own_are_in_its_label():
    def own(number):
        student = {"name": "mine:Net", "units": number, "norm": "batch" if number > 1 else "none"}
        params = {f"student.{key}": student[key] for key in ("units", "norm")}
        return result(number, {"name": "none"}, student=student, changes=params, params=params)

    assert columns([own(1), own(2)]) == {"norm": ("none", "batch")}


def test_no_trials_vary_in_nothing():
    assert varied([]) == []
    assert csv_text([]) == (
        "number,trial_id,name,role,status,student,strategy,accuracy,accuracy_low,accuracy_high,"
        "loss,params,macs,size_bytes,latency_ms,seconds,device,weights\n"
    )


def test_files_have_a_column_for_each_setting_also_in_trials_that_did_not_draw_it():
    found = [CONTROL, kd(1, weight=0.25, lr=0.01), kd(2)]
    table = list(csv.DictReader(io.StringIO(csv_text(found))))
    assert [row["train.lr"] for row in table] == ["0.001", "0.01", "0.001"]
    assert [row["strategy.temperature"] for row in table] == ["4.0", "3.0", "4.0"]
    assert [row["strategy.extra.fitnet.weight"] for row in table] == ["", "0.25", ""]
    assert [row["strategy"] for row in table] == ["kd", "kd+fitnet", "kd"]
    described = rows(found)
    assert [row["settings"]["train.lr"] for row in described] == [0.001, 0.01, 0.001]
    json.dumps(described, allow_nan=False)


def test_a_strategy_that_is_given_by_its_name_alone_keeps_its_label():
    bare = result(1, {"name": "kd"}, changes={"strategy": "kd"}, params={"strategy": "kd"})
    (row,) = csv.DictReader(io.StringIO(csv_text([bare])))
    assert (row["strategy"], row["strategy.name"]) == ("kd", "kd")


def printed(results, width, objectives=TWO):
    console = Console(file=io.StringIO(), width=width)
    console.print(trial_table(results, objectives, width=width))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


MANY = [CONTROL, kd(1, weight=0.25, lr=0.01), kd(2), transformer(3), transformer(4, lr=0.02)]


def test_where_there_is_room_common_settings_have_columns_and_others_share_one():
    lines = printed(MANY, 120)
    assert lines[1].split() == [
        "student", "strategy", "params", "MACs", "accuracy", "lr", "T", "settings", "trial"
    ]  # fmt: skip
    assert "0.01  3  fitnet.weight=0.25" in lines[4]
    assert "layer_map=even" in lines[7]


def test_in_eighty_columns_settings_are_folded_and_multiply_adds_make_room():
    lines = printed(MANY, 80)
    assert max(map(len, lines)) <= 80
    assert lines[1].split()[:4] == ["student", "strategy", "params", "accuracy"]
    assert "…" not in "".join(lines)
    text = " ".join(" ".join(lines).split())
    assert all(each in text for each in ("fitnet.weight=0.25", "layer_map=even", "0.02", "T=3"))
    # They stay where they are what the sweep is for.
    assert "MACs" in printed(MANY, 80, {**TWO, "macs": "min"})[1]
