import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_records import trial_result

from kdsweep.report.trial_line import shortened, trial_line
from kdsweep.results.record import EpochMetrics

TWO = {"accuracy": "max", "params": "min"}
LONG = "kd+attention_transfer w8 d1 s1 h16 T2.7 a0.83 attention_transfer.weight=0.0197"


def student(name="kd w8", **more):
    given = {
        "trial_id": "00021", "name": name, "seconds": 1.25,
        "trial": {"student": {"name": "cnn"}, "train": {"lr": 0.0219, "epochs": 20}},
        "metrics": {"accuracy": 0.9777, "params": 2_314},
    }  # fmt: skip
    return trial_result(21, **{**given, **more})


def line(result, front=(), objectives=TWO, width=80):
    return trial_line(result, objectives, front, counted="23/42", width=width)


def test_all_of_a_short_one():
    one = student()
    assert line(one, [one]) == (
        "[23/42] complete  00021  kd w8  97.77%  2,314 params  front  lr 0.0219  1.2 s"
    )


def test_a_long_name_is_cut_and_leaves_out_what_can_be_missed():
    one = student(LONG)
    assert len(line(one)) <= 80
    assert "00021  kd+attention_transfer w8" in line(one, width=90)
    assert line(one, width=200).startswith(f"[23/42] complete  00021  {LONG}  97.77%")


def test_a_pruned_one_says_where_it_ended():
    epochs = [EpochMetrics(epoch=i, accuracy=0.5, loss=1, lr=0.1, seconds=1) for i in (1, 2, 3)]
    assert line(student(status="pruned", epochs=epochs)) == (
        "[23/42] pruned    00021  kd w8  97.77%  2,314 params  epoch 3/20  lr 0.0219"
    )


def test_a_failure_has_its_whole_reason():
    said = line(student(status="failed", metrics={}, error="a\n b " + "c" * 99))
    assert said == f"[23/42] failed    00021  kd w8  a b {'c' * 99}  1.2 s"
    assert "no reason given" in line(student(status="failed"))


def test_every_objective_has_its_unit():
    objectives = {"loss": "min", "macs": "min", "size_bytes": "min", "latency_ms": "min"}
    metrics = {"loss": 0.5, "macs": 64_000.0, "size_bytes": 9_256.0, "latency_ms": 0.25}
    assert "0.5 nats  64k MACs  9,256 bytes  0.25 ms" in line(
        student(metrics=metrics), objectives=objectives
    )


@pytest.mark.parametrize(
    ("label", "room", "said"),
    [("kd w8 T4.2 a0.31", 16, "kd w8 T4.2 a0.31"), ("kd w8 T4.2 a0.31", 15, "kd w8 T4.2 a0.…"),
     ("kd w8 T4.2 a0.31 (2/4)", 15, "kd w8 T4… (2/4)"), ("kd w8 T4.2 a0.31", 1, "kd w8 T4.2…")],
)  # fmt: skip
def test_shortened(label, room, said):
    assert shortened(label, room) == said


@given(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=90), st.integers(80, 120))
def test_no_line_of_two_objectives_is_wider_than_asked(name, width):
    one = student(name)
    for front in ([], [one]):
        assert len(line(one, front, width=width)) <= width
