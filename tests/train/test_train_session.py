"""A session: how each trial ends in plain values, and that nothing of it reaches the next."""

import json
import re
import weakref
from pathlib import Path

import pytest
import torch
from tiny_trials import (
    CPU,
    STUDENT,
    TAUGHT,
    TRAIN,
    all_of,
    go_on,
    never,
    spec,
    splits_of,
    taught,
    trained,
)
from torch import Tensor, nn
from torch.nn import functional as F

from kdsweep import catalog
from kdsweep.results.latency import Latency
from kdsweep.results.record import EpochMetrics
from kdsweep.spec import Component, TrialSpec
from kdsweep.sweep_file.weights import load_state
from kdsweep.train.device import describe
from kdsweep.train.loop import Report, Verdict
from kdsweep.train.session import Session
from kdsweep.train.weights import load_into

HERE = __name__
WILD = {"optimizer": "sgd", "lr": 100.0, "epochs": 20, "schedule": "constant"}


class Raises(nn.Module):
    """A user's student that fails while it trains, in the way that is named."""

    def __init__(self, num_classes: int, how: str) -> None:
        super().__init__()
        self.head = nn.Linear(64, num_classes)
        self.how = how
        self.register()

    def register(self) -> None:
        """For a test that wants to know of it."""

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            raise {"zero": ZeroDivisionError("by zero"), "memory": MemoryError("no room")}[self.how]
        logits: Tensor = self.head(images.flatten(1))
        return logits


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(device=CPU, teachers=tmp_path / "teachers")


def stop_at(last: int) -> Report:
    return lambda epoch, teacher="": Verdict.STOP if epoch.epoch == last else Verdict.CONTINUE


def raising(how: str) -> TrialSpec:
    return spec(student={"name": f"{HERE}:Raises", "how": how})


def test_a_complete_trial_has_its_metrics_and_its_weights(session, tmp_path):
    seen: list[EpochMetrics] = []

    def report(epoch: EpochMetrics) -> Verdict:
        seen.append(epoch)
        return Verdict.CONTINUE

    path = tmp_path / "students" / "1.safetensors"
    done = session.run(TAUGHT, report, weights=path)
    assert (done.status, done.error, done.device) == ("complete", None, describe(CPU))
    found = dict(done.metrics)
    latency = Latency.model_validate(done.latency)
    assert found.pop("latency_ms") == latency.of(1).p50_ms > 0
    assert [each.batch for each in latency.batches] == [1, 32]
    # Two convolutions 1->2 and 2->4 at 8x8 and 4x4, hidden 16->8, head 8->10.
    params = (9 * 2 + 2) + (9 * 2 * 4 + 4) + (16 * 8 + 8) + (8 * 10 + 10)
    macs = 64 * 9 * 2 + 16 * 9 * 2 * 4 + 16 * 8 + 8 * 10
    last = {"accuracy": seen[-1].accuracy, "loss": seen[-1].loss}
    assert found == {"params": params, "macs": macs, "size_bytes": 4 * params} | last
    assert done.seconds > sum(epoch.seconds for epoch in seen)

    student = catalog.model(Component(**STUDENT), shape=(1, 8, 8), num_classes=10).eval()
    load_into(student, load_state(path), source=path)
    images, labels = all_of(splits_of(TAUGHT).validation)
    assert F.cross_entropy(student(images), labels).item() == pytest.approx(seen[-1].loss, rel=1e-5)


def test_an_outcome_is_made_of_plain_values(session):
    done = session.run(TAUGHT, go_on)
    again = json.loads(json.dumps(done.plain(), allow_nan=False))
    assert again["teachers"][0]["digest"] == session.teachers(TAUGHT, never)["teacher"][1].digest
    assert again["teachers"][0]["epochs"][-1]["epoch"] == 2
    assert again["raw_weights"] == done.raw_weights == pytest.approx({"hard": 0.1, "soft": 0.9})


def test_a_stopped_trial_has_metrics_and_leaves_no_weights(session, tmp_path):
    path = tmp_path / "1.safetensors"
    done = session.run(spec(train={"epochs": 4}), stop_at(2), weights=path)
    assert (done.status, done.error) == ("stopped", None)
    assert set(done.metrics) == {"params", "macs", "size_bytes", "latency_ms", "accuracy", "loss"}
    second = trained(spec(train={"epochs": 4}), stop_at(2)).epochs[-1]
    assert (done.metrics["accuracy"], done.metrics["loss"]) == (second.accuracy, second.loss)
    assert not path.exists()


def test_a_failure_that_was_foreseen_is_told_in_a_sentence(session, tmp_path):
    path = tmp_path / "1.safetensors"
    done = session.run(spec(train=WILD), go_on, weights=path)
    assert (done.status, done.metrics, done.device) == ("failed", {}, describe(CPU))
    assert done.error is not None
    assert done.error.startswith("epoch ")
    assert done.traceback == ""
    assert len(done.error.splitlines()) == 1
    assert not path.exists()


def test_a_setting_that_does_not_fit_fails_the_trial_with_its_path(session):
    wrong = {"name": "fitnet", "layers": [{"student": "stagse.0", "teacher": "stages.0"}]}
    done = session.run(TAUGHT.model_copy(update={"strategy": Component(**wrong)}), go_on)
    assert done.status == "failed"
    assert (done.error or "").startswith("strategy.layers.0.student: no layer 'stagse.0'")


def test_a_failure_that_nobody_foresaw_is_told_by_its_place_and_carries_its_traceback(session):
    done = session.run(raising("zero"), go_on)
    assert done.status == "failed"
    told = r".*test_train_session\.py, line \d+, in forward: ZeroDivisionError: by zero"
    assert re.fullmatch(told, done.error or "")
    lines = done.traceback.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-1] == "ZeroDivisionError: by zero"
    assert any("test_train_session.py" in line for line in lines)


def test_a_strategy_and_data_of_ones_own_are_told_by_their_place(session, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "from kdsweep.data.digits import Digits\n"
        "from kdsweep.strategies.kd import KnowledgeDistillation\n"
        "class Mine(KnowledgeDistillation):\n"
        "    def terms(self, seen):\n"
        "        return {}['soft']\n"
        "class Data(Digits):\n"
        "    def load(self, device):\n"
        "        open('absent.csv')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    own = TAUGHT.model_copy(update={"strategy": Component(name="mine:Mine")})
    assert session.run(own, go_on).error == "mine.py, line 5, in terms: KeyError: 'soft'"
    other = spec().model_copy(update={"data": Component(name="mine:Data")})
    found = session.run(other, go_on)
    assert (found.error or "").startswith("mine.py, line 8, in load: FileNotFoundError: [Errno 2]")
    assert "in load" in session.prepare(other.model_copy(update={"teacher": TAUGHT.teacher}),
                                        go_on).traceback  # fmt: skip


def test_out_of_memory_names_what_to_make_smaller(session):
    done = session.run(raising("memory"), go_on)
    wanted = f"out of memory with student {HERE}:Raises and batch size 40: no room"
    assert (done.status, done.error) == ("failed", wanted)


def test_what_a_failed_trial_held_is_gone_before_the_device_is_tidied(session, monkeypatch):
    made, left = [], []

    def remember(network: nn.Module) -> None:
        made.append(weakref.ref(network.head.weight))

    monkeypatch.setattr(Raises, "register", remember)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: left.extend(r() for r in made))
    done = session.run(raising("zero"), go_on)
    assert (done.error or "").endswith("ZeroDivisionError: by zero")
    assert left == [None]


def test_a_listener_that_fails_fails_its_trial_only(session):
    def report(epoch: EpochMetrics) -> Verdict:
        raise ConnectionError("nobody listens")

    done = session.run(spec(), report)
    assert done.status == "failed"
    assert (done.error or "").endswith("ConnectionError: nobody listens")


def test_an_interrupt_is_not_swallowed(session):
    def report(epoch: EpochMetrics) -> Verdict:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session.run(spec(), report)


def test_a_teacher_that_is_stopped_stops_the_trial(session):
    done = session.run(TAUGHT, never, on_teacher=stop_at(1))
    assert (done.status, done.error) == ("stopped", "the teacher's training was stopped")
    assert session.run(TAUGHT, go_on).status == "complete"


def plain(session: Session, trial: TrialSpec) -> dict[str, object]:
    """What is the same each time."""
    done = session.run(trial, go_on).plain()
    del done["seconds"], done["teachers"], done["metrics"]["latency_ms"], done["latency"]
    return done


@pytest.mark.parametrize("before", ["complete", "stopped", "diverged", "raised", "no listener"])
def test_nothing_of_a_trial_reaches_the_next(before, tmp_path):
    used, fresh = (Session(device=CPU, teachers=tmp_path / name) for name in ("used", "fresh"))
    hints = TAUGHT.model_copy(
        update={"strategy": Component(name="fitnet", extra={"attention_transfer": {}})}
    )
    ends = {
        "complete": lambda: used.run(hints.model_copy(update={"seed": 5}), go_on),
        "stopped": lambda: used.run(hints, stop_at(1)),
        "diverged": lambda: used.run(
            hints.model_copy(update={"train": spec(train=WILD).train}), go_on
        ),
        "raised": lambda: used.run(raising("zero"), go_on),
        "no listener": lambda: used.run(hints, never),
    }
    assert ends[before]().status == (before if before in ("complete", "stopped") else "failed")
    for trial in (hints, TAUGHT):
        assert plain(used, trial) == plain(fresh, trial)


def test_a_trial_that_needs_no_teacher_makes_none(session, tmp_path):
    alone = TAUGHT.model_copy(update={"strategy": Component(name="none")})
    done = session.run(alone, go_on, on_teacher=never)
    assert (done.status, done.teachers) == ("complete", ())
    assert not (tmp_path / "teachers").exists()


def test_a_teacher_prepared_is_the_one_that_trials_find(session, tmp_path):
    heard: list[tuple[str, int]] = []

    def report(epoch: EpochMetrics, teacher: str) -> Verdict:
        heard.append((teacher, epoch.epoch))
        return Verdict.CONTINUE

    made = session.prepare(TAUGHT, report)
    assert (made.status, made.metrics, heard) == ("complete", {}, [("teacher", 1), ("teacher", 2)])
    other = Session(device=CPU, teachers=tmp_path / "teachers")
    done = other.run(TAUGHT, go_on, on_teacher=never)
    (before,), (found,) = made.teachers, done.teachers
    assert before.pop("latency")["batches"][0]["batch"] == 1
    assert before | {"reused": True} == found | {"epochs": tuple(found["epochs"])}
    failed = session.prepare(taught(train={**TRAIN, **WILD}), go_on)
    assert (failed.status, (failed.error or "")[:14]) == ("failed", "teacher: epoch")
