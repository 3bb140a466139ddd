"""Trials on stored outputs against the same trials with the live teacher."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from test_output_store import Scaled
from tiny_trials import (
    CPU,
    OF_TEACHER,
    VIEWS,
    counting,
    curve,
    go_on,
    never,
    numbers,
    spec,
    splits_of,
    state,
    store_in,
    teacher,
    trained,
)

from kdsweep.spec import TrialSpec
from kdsweep.sweep_file import at, load, resolved
from kdsweep.train.loop import Trained
from kdsweep.train.session import Session
from kdsweep.train.teacher import Teacher

FEATURES = {
    "fitnet": {"name": "fitnet", "weight": 0.5},
    "attention_transfer": {"name": "kd", "extra": {"attention_transfer": {"weight": 10.0}}},
}


def told(trial: TrialSpec, **settings: Any) -> TrialSpec:
    """The trial with settings of its teacher, which a test hands over itself."""
    return TrialSpec.model_validate(
        {**trial.model_dump(), "teacher": {"model": OF_TEACHER, **settings}}
    )


def on_disk(trial: TrialSpec, folder: Path, master: Teacher) -> Trained:
    return trained(trial, teacher=master, stored=store_in(folder, master, trial))


def assert_alike(found: Trained, expected: Trained) -> None:
    """To the rounding of float16: an eleventh bit of each logit or value."""
    torch.testing.assert_close(
        numbers(found.epochs), numbers(expected.epochs), rtol=1e-3, atol=1e-4
    )
    states = zip(state(found.student).values(), state(expected.student).values(), strict=True)
    for one, other in states:
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(
    "augment", [{}, VIEWS, {**VIEWS, "cutout": 3}], ids=["plain", "crop", "cut"]
)
def test_stored_logits_train_like_a_live_teacher(augment, tmp_path):
    trial = spec("kd", data={"augment": augment}, train={"epochs": 4})
    live, asked = counting(), counting()
    assert_alike(on_disk(trial, tmp_path, asked), trained(trial, teacher=live))
    assert live.asked == [40, 40, 16] * 4
    assert asked.asked == [96] * splits_of(trial).num_views


@pytest.mark.parametrize("strategy", FEATURES)
def test_stored_features_train_like_a_live_teacher(strategy, tmp_path):
    trial = spec(FEATURES[strategy], data={"augment": VIEWS}, train={"epochs": 4})
    asked = counting()
    assert_alike(on_disk(trial, tmp_path, asked), trained(trial, teacher=counting()))
    # As many views as there are epochs or more: the first batches of epoch 0 are of a stored one.
    assert asked.asked == [96] * 3
    assert any(tmp_path.rglob("layer-*/*.f16"))


def test_weights_are_measured_live_on_a_view_that_the_training_never_shows(tmp_path):
    trial = spec(FEATURES["fitnet"], data={"augment": VIEWS}, train={"epochs": 2})
    asked = counting()
    found, expected = on_disk(trial, tmp_path, asked), trained(trial, teacher=counting())
    assert asked.asked == [40, 40, 16] + [96] * 2
    assert found.raw_weights == expected.raw_weights
    assert {path.parts[-3] for path in tmp_path.rglob("*.f16")} == {"view-00001", "view-00002"}


def test_numbers_do_not_depend_on_who_made_the_outputs(tmp_path):
    trial = spec("kd", data={"augment": VIEWS}, train={"epochs": 3})
    alone = on_disk(trial, tmp_path / "alone", teacher())
    first = spec(FEATURES["fitnet"], data={"augment": VIEWS}, train={"epochs": 2}, seed=5)
    on_disk(first, tmp_path / "shared", teacher())
    asked = counting()
    assert curve(on_disk(trial, tmp_path / "shared", asked).epochs) == curve(alone.epochs)
    assert asked.asked == [96]


@pytest.mark.parametrize(
    ("stored", "strategy", "expected"),
    [
        ("auto", "kd", ["logits"]),
        ("logits", "kd", ["logits"]),
        ("features", "kd", ["logits"]),
        ("auto", "fitnet", ["layer-stages.0", "logits"]),
        ("features", "fitnet", ["layer-stages.0", "logits"]),
        ("logits", "fitnet", []),
        ("none", "kd", []),
        ("auto", "function_matching", []),
        ("features", "function_matching", []),
        ("auto", {"name": "kd", "extra": {"self_distillation": {}}}, ["logits"]),
    ],
)
def test_what_is_stored_follows_from_the_word_and_the_strategy(
    stored, strategy, expected, tmp_path, caplog
):
    trial = told(spec(strategy, train={"epochs": 1}), stored=stored)
    asked = counting()
    with caplog.at_level(logging.WARNING, "kdsweep"):
        found = on_disk(trial, tmp_path, asked)
    assert (
        sorted(path.name for path in tmp_path.glob("*/view-00000/*") if path.is_dir()) == expected
    )
    assert caplog.messages == []
    if not expected:
        assert curve(found.epochs) == curve(trained(trial, teacher=counting()).epochs)


def test_what_has_no_room_is_asked_live_and_said(tmp_path, caplog):
    # 2 views x 96 samples x 10 values x 2 bytes
    trial = spec("kd", data={"augment": VIEWS})
    fits, short = (told(trial, max_cache_bytes=n) for n in (3840, 3839))
    with caplog.at_level(logging.WARNING, "kdsweep"):
        on_disk(fits, tmp_path / "fits", teacher())
    assert any(tmp_path.rglob("*.f16"))
    assert caplog.messages == []
    with caplog.at_level(logging.WARNING, "kdsweep"):
        found = on_disk(short, tmp_path / "short", teacher())
    assert not (tmp_path / "short").exists()
    assert caplog.messages == [
        "teacher: storing its outputs would take 2 views x 96 samples x 10 values x 2 bytes = "
        "3.8 KiB, more than its max_cache_bytes allows (3.7 KiB): it is asked for each batch "
        "instead"
    ]
    assert curve(found.epochs) == curve(trained(trial, teacher=teacher()).epochs)


def test_features_that_have_no_room_leave_all_live(tmp_path, caplog):
    # 96 x (10 + 5 x 8 x 8) x 2 bytes, of which the logits alone would have room
    trial = told(spec("fitnet", train={"epochs": 1}), max_cache_bytes=96 * 330 * 2 - 1)
    with caplog.at_level(logging.WARNING, "kdsweep"):
        found = on_disk(trial, tmp_path, teacher())
    assert "1 view x 96 samples x 330 values x 2 bytes = 61.9 KiB" in caplog.messages[0]
    assert list(tmp_path.iterdir()) == []
    assert curve(found.epochs) == curve(trained(trial, teacher=teacher()).epochs)


def test_logits_too_large_for_float16_are_asked_live_and_said(tmp_path, caplog):
    trial = spec("kd", data={"augment": VIEWS}, train={"epochs": 4})

    def large() -> Teacher:
        return Teacher(Scaled(1e7), digest="", accuracy=0.0)

    with caplog.at_level(logging.WARNING, "kdsweep"):
        first = on_disk(trial, tmp_path, large())
    assert set(caplog.messages) == {
        "teacher: some of its outputs are too large for float16, in which they are stored; where "
        "that is so it is asked for each batch instead"
    }
    expected = curve(trained(trial, teacher=large()).epochs)
    assert curve(first.epochs) == curve(on_disk(trial, tmp_path, large()).epochs) == expected


def taught(data: dict[str, Any] | None = None, **of_teacher: Any) -> TrialSpec:
    master = {"model": OF_TEACHER, "train": {"epochs": 1, "batch_size": 40}, **of_teacher}
    data = {"augment": VIEWS} if data is None else data
    return spec("kd", teacher=master, data=data, train={"epochs": 3})


def forwards(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of all batches that any teacher is asked about from here on."""
    asked: list[int] = []
    outputs = Teacher.outputs

    def counted(self: Teacher, batch: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(len(batch))
        return outputs(self, batch, *args, **kwargs)

    monkeypatch.setattr(Teacher, "outputs", counted)
    return asked


def test_the_next_session_reads_what_the_first_has_stored_and_asks_no_teacher(
    tmp_path, monkeypatch
):
    asked = forwards(monkeypatch)
    epochs: list[list[Any]] = [[], []]
    for number, seen in enumerate(epochs):
        session = Session(device=CPU, teachers=tmp_path)
        done = session.run(taught(), lambda epoch, seen=seen: seen.append(epoch) or go_on(epoch))
        assert done.status == "complete", done.error
        assert done.warnings == ()
        assert asked == [96] * 3, f"session {number}"
    assert curve(tuple(epochs[0])) == curve(tuple(epochs[1]))
    (digest,) = (path for path in tmp_path.iterdir())
    assert {path.name for path in digest.iterdir() if path.name[0] != "."} == {
        "teacher.safetensors", "teacher.json", "outputs",
    }  # fmt: skip


def test_a_sweep_asks_its_teacher_once_for_all_that_its_strategies_read(tmp_path, monkeypatch):
    """The first trial reads logits; what it makes has the layers of the others."""
    monkeypatch.chdir(tmp_path)
    path = Path("sweep.yaml")
    strategies = ["kd", "fitnet", "attention_transfer"]
    trial = taught().model_dump(mode="json", exclude_unset=True)
    space = {"strategy": {"choice": strategies}, "train.lr": {"loguniform": [0.001, 0.01]}}
    path.write_text(json.dumps({"name": "once", "trial": trial, "space": space}))
    sweep = load(path)
    (plan,) = sweep.outputs
    asked = forwards(monkeypatch)
    session = Session(device=CPU, teachers=tmp_path, layers=plan.layers)
    for strategy in strategies:
        # As it comes to a lane: with all defaults written out.
        job = resolved(at(sweep.spec, {"strategy": {"name": strategy}}))
        done = session.run(TrialSpec.model_validate(job), go_on)
        assert (done.status, done.warnings) == ("complete", ())
        assert done.computed == "float32, contiguous, teacher stored"
        assert asked == [96] * 3


def test_trials_that_differ_in_their_views_have_one_teacher_and_outputs_of_their_own(
    tmp_path, monkeypatch
):
    asked = forwards(monkeypatch)
    session = Session(device=CPU, teachers=tmp_path)
    for number, views in enumerate((3, 2, 3)):
        trial = taught(data={"augment": {"crop": 1, "views": views}})
        done = session.run(trial, go_on, on_teacher=never if number else go_on)
        assert done.status == "complete", done.error
        assert asked == [96] * (3, 5, 5)[number]
    (teachers,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert len(list((teachers / "outputs").iterdir())) == 2


def test_what_is_stored_of_a_teacher_does_not_make_it_another(tmp_path):
    session = Session(device=CPU, teachers=tmp_path)
    kept = session.teachers(taught(), go_on)["teacher"][0]
    for changes in ({"stored": "none"}, {"max_cache_bytes": 0}):
        assert session.teachers(taught(**changes), never)["teacher"][0] is kept


def test_an_outcome_warns_of_what_is_not_stored(tmp_path):
    session = Session(device=CPU, teachers=tmp_path)
    done = session.run(taught(max_cache_bytes=100), go_on)
    assert done.status == "complete"
    assert len(done.warnings) == 1
    assert done.warnings[0].startswith("teacher: storing its outputs would take 3 views x 96 ")
    assert session.run(taught(max_cache_bytes=100), go_on).warnings == ()


def test_a_disk_that_is_full_stops_the_trial_and_says_what_to_do(tmp_path, monkeypatch):
    from kdsweep.train import blocks

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    session = Session(device=CPU, teachers=tmp_path)
    assert session.prepare(taught(), go_on).status == "complete"
    monkeypatch.setattr(blocks, "write_bytes", full)
    done = session.run(taught(), go_on)
    # It has not failed: it is gone on with when there is room.
    assert (done.status, done.no_room) == ("stopped", True)
    assert (done.error or "").endswith(
        "(No space left on device): make room there, or set teacher.stored: none"
    )
    assert session.run(taught(stored="none"), go_on).status == "complete"
