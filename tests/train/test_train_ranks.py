"""Two processes that train one trial together, against one that trains it alone."""

import math
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from tiny_trials import (
    CPU,
    OF_TEACHER,
    STILL,
    VIEWS,
    counting,
    go_on,
    numbers,
    spec,
    splits_of,
    state,
    store_in,
    teacher,
    trained,
)
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from kdsweep.errors import TrialError
from kdsweep.results.record import EpochMetrics
from kdsweep.spec import Component, TrialSpec
from kdsweep.train import bf16_probe
from kdsweep.train import ranks as ranks_module
from kdsweep.train.checkpoint import Checkpoints
from kdsweep.train.loop import Trained, Verdict
from kdsweep.train.ranks import ALONE, Ranks
from kdsweep.train.session import Session
from kdsweep.train.teacher_store import TeacherStore

HERE = __name__
TIMEOUT_S = 60
"""Of a collective: a worker that waits for one that gave up ends the test with an error."""


class NoNumber(nn.Module):
    """A user's student whose logits are no numbers where it is evaluated."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(64, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(images.flatten(1))
        return logits if self.training or len(images) <= 2 else logits * math.nan


def shared() -> TrialSpec:
    """95 samples in batches of 36: the last is of 23, so the workers get 12 and 11 of it."""
    strategy = {"name": "kd", "extra": {"fitnet": {"weight": 0.5}}}
    data = {"limit": 95, "augment": VIEWS}
    return spec(strategy, data=data, train={"epochs": 3, "batch_size": 36, "clip_norm": 1.0})


def stopping() -> TrialSpec:
    return spec(train={"epochs": 4})


def taught() -> TrialSpec:
    return spec("kd", teacher={"model": OF_TEACHER, "train": {"epochs": 2, "batch_size": 40}})


def second_epoch(epoch: EpochMetrics) -> Verdict:
    return Verdict.STOP if epoch.epoch == 2 else Verdict.CONTINUE


def plain(done: Trained) -> dict[str, Any]:
    return {
        "numbers": numbers(done.epochs),
        "state": state(done.student),
        "raw_weights": done.raw_weights,
        "stopped": done.stopped,
    }


def train_shared(ranks: Ranks, folder: Path) -> dict[str, Any]:
    return plain(trained(shared(), teacher=teacher(), ranks=ranks))


def train_at_chance(ranks: Ranks, folder: Path) -> str:
    strategy = {"name": "data_free", "batches_per_epoch": 2, "width": 4, "noise": 8, "grace": 1.0}
    still = spec(strategy, teacher={"model": OF_TEACHER}, train=STILL)
    try:
        trained(still, teacher=teacher(), ranks=ranks)
    except TrialError as error:
        return str(error)
    return "nothing was raised"


def train_stopping(ranks: Ranks, folder: Path) -> dict[str, Any]:
    # Only the first worker is asked.
    report = second_epoch if ranks.is_first else None
    return plain(trained(stopping(), report, ranks=ranks))


def train_no_number(ranks: Ranks, folder: Path) -> str:
    try:
        trained(spec(student={"name": f"{HERE}:NoNumber"}), ranks=ranks)
    except TrialError as error:
        return str(error)
    return "nothing was raised"


def get_teacher(ranks: Ranks, folder: Path) -> list[Any]:
    """Made, then found."""
    trial, store = taught(), TeacherStore(folder / "teachers")
    found = []
    for _ in range(2):
        master, card = store.get(
            trial, trial.teacher, splits=splits_of(trial), device=CPU, report=go_on, ranks=ranks
        )
        found.append((card.reused, card.digest, state(master.network)))
    return found


def get_hidden_teacher(ranks: Ranks, folder: Path) -> str:
    store = TeacherStore(folder / ("teachers" if ranks.is_first else "elsewhere"))
    trial = taught()
    try:
        store.get(
            trial, trial.teacher, splits=splits_of(trial), device=CPU, report=go_on, ranks=ranks
        )
    except TrialError as error:
        return str(error)
    return "found"


def run_session(ranks: Ranks, folder: Path) -> dict[str, Any]:
    session = Session(device=CPU, teachers=folder / "teachers", ranks=ranks)
    weights = folder / f"student-{ranks.rank}.safetensors"
    outcome = session.run(taught(), go_on, weights=weights)
    return {**outcome.plain(), "written": weights.exists()}


def train_stored(ranks: Ranks, folder: Path) -> dict[str, Any]:
    """On what both store of a teacher with norms, each on its share of every batch."""
    master = counting()
    done = trained(
        shared(), teacher=master, stored=store_in(folder / "o", master, shared()), ranks=ranks
    )
    return {**plain(done), "asked": master.asked}


def norms_of_teacher(ranks: Ranks, folder: Path) -> dict[str, Any]:
    """What both have of a teacher that they have just trained, and where its outputs belong."""
    model = {**OF_TEACHER, "batch_norm": True}
    trial = spec("kd", teacher={"model": model, "train": {"epochs": 1, "batch_size": 40}})
    session = Session(device=CPU, teachers=folder / "normed", ranks=ranks)
    source, card = session.teachers(trial, go_on)["teacher"]
    assert source.store is not None
    return {
        "state": state(source.teacher.network),
        "place": str(source.store.directory),
        "card": (card.weights_sha256, card.reused),
    }


def computing(**train: Any) -> TrialSpec:
    student = {"name": "cnn", "width": 8, "stages": 2, "hidden": 8}
    strategy = {"name": "kd", "extra": {"fitnet": {"weight": 0.5}}}
    return spec(strategy, student=student, train={"epochs": 2, "batch_size": 32, **train})


def train_by_the_first_workers_clock(ranks: Ranks, folder: Path) -> dict[str, Any]:
    """Compiled, and by a probe that finds bf16 faster on the first worker and slower on others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bf16_probe, "has_amx", lambda: True)
        patch.setattr(bf16_probe, "gain", lambda *given: 2.0 if ranks.is_first else 0.5)
        patch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
        done = trained(computing(compile="default"), teacher=teacher(), ranks=ranks)
    return {**plain(done), "computed": done.computed}


def train_in_two_parts(ranks: Ranks, folder: Path) -> dict[str, Any]:
    """Cut short after the second epoch, then gone on with; each worker draws on its own."""
    trial = shared().model_copy(update={"student": Component(**OF_TEACHER, dropout=0.5)})
    parts = {"whole": trained(trial, teacher=teacher(), ranks=ranks)}
    for name, report in (("cut", second_epoch), ("rest", go_on)):
        checkpoints = Checkpoints(folder / "checkpoints", every_s=0.0)
        parts[name] = trained(
            trial, report, teacher=teacher(), ranks=ranks, checkpoints=checkpoints
        )
    return {name: plain(done) for name, done in parts.items()}


def train_watched(ranks: Ranks, folder: Path) -> dict[str, Any]:
    """What is wrapped where a student and its adapter learn from a live teacher."""
    wrapped: list[nn.Module] = []

    class Watched(DistributedDataParallel):
        def __init__(self, module: nn.Module, **given: Any) -> None:
            wrapped.append(module)
            super().__init__(module, **given)

    master = teacher()
    before = state(master.network)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranks_module, "DistributedDataParallel", Watched)
        done = trained(shared(), teacher=master, ranks=ranks)
    (step,) = wrapped
    inside = {id(each) for each in (*step.parameters(), *step.buffers())}
    of_teacher = [*master.network.parameters(), *master.network.buffers()]
    return {
        "student inside": all(id(each) in inside for each in done.student.parameters()),
        "learned beside it": len(list(step.parameters())) - len(list(done.student.parameters())),
        "teacher inside": sum(id(each) in inside for each in of_teacher),
        "teacher's gradients": sum(each.grad is not None for each in master.network.parameters()),
        "teacher kept": all(torch.equal(before[n], v) for n, v in state(master.network).items()),
    }


TOGETHER: dict[str, Callable[[Ranks, Path], Any]] = {
    each.__name__: each
    for each in (
        train_shared,
        train_watched,
        train_stored,
        norms_of_teacher,
        train_no_number,
        train_at_chance,
        train_stopping,
        train_in_two_parts,
        train_by_the_first_workers_clock,
        get_teacher,
        get_hidden_teacher,
        run_session,
    )
}


def work(rank: int, folder: Path) -> None:
    """One of two workers: all that they do together, one after another, as a lane would."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder / 'meeting'}",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=TIMEOUT_S),
    )
    found = {name: do(Ranks(rank, 2), folder) for name, do in TOGETHER.items()}
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of the two workers saw."""
    folder = tmp_path_factory.mktemp("ranks")
    mp.spawn(work, (folder,), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


def assert_close_states(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-3, atol=2e-5, msg=name)


def test_two_workers_train_as_one_with_the_same_batches(both):
    first = both[0]["train_shared"]
    alone = plain(trained(shared(), teacher=teacher()))
    torch.testing.assert_close(first["numbers"], alone["numbers"], rtol=1e-4, atol=1e-5)
    assert_close_states(first["state"], alone["state"])
    assert first["raw_weights"] == pytest.approx(alone["raw_weights"], rel=1e-6)


def test_two_workers_store_a_teachers_outputs_once_and_train_on_them(both, tmp_path):
    first, second = (each["train_stored"] for each in both)
    alone = trained(shared(), teacher=teacher(), stored=store_in(tmp_path, teacher(), shared()))
    torch.testing.assert_close(first["numbers"], numbers(alone.epochs), rtol=1e-4, atol=1e-5)
    assert all(torch.equal(first["state"][name], second["state"][name]) for name in first["state"])
    assert sum([*first["asked"], *second["asked"]]) == 3 * 95


def test_workers_store_the_outputs_of_the_very_same_teacher(both):
    first, second = (each["norms_of_teacher"] for each in both)
    assert all(torch.equal(first["state"][name], second["state"][name]) for name in first["state"])
    assert first["place"] == second["place"]
    assert first["card"] == second["card"]
    assert first["card"][0] != ""
    assert first["card"][1] is False


def test_workers_compute_alike_whatever_their_clocks_say(both):
    first, second = (each["train_by_the_first_workers_clock"] for each in both)
    said = "bf16, channels_last, compiled (default), teacher live"
    assert first["computed"] == second["computed"] == said
    assert all(torch.equal(first["state"][name], second["state"][name]) for name in first["state"])
    plainly = {"precision": "float32", "memory_format": "contiguous", "compile": "none"}
    alone = plain(trained(computing(**plainly), teacher=teacher()))
    torch.testing.assert_close(first["numbers"], alone["numbers"], rtol=0.05, atol=0.05)
    assert first["state"].keys() == alone["state"].keys()


def test_both_workers_end_with_the_same_student(both):
    first, second = (each["train_shared"] for each in both)
    assert all(torch.equal(first["state"][name], second["state"][name]) for name in first["state"])
    assert first["raw_weights"] == second["raw_weights"]


def test_what_learns_is_wrapped_and_the_frozen_teacher_is_not(both):
    for each in both:
        found = each["train_watched"]
        assert found.pop("learned beside it") > 0  # FitNet's regressor
        assert found == {
            "student inside": True,
            "teacher inside": 0,
            "teacher's gradients": 0,
            "teacher kept": True,
        }


def test_only_the_first_worker_reports(both):
    assert len(both[0]["train_shared"]["numbers"]) == 3
    assert len(both[1]["train_shared"]["numbers"]) == 0


def test_the_first_worker_stops_both(both):
    first, second = (each["train_stopping"] for each in both)
    assert (first["stopped"], second["stopped"]) == (True, True)
    alone = trained(stopping(), second_epoch)
    assert len(first["numbers"]) == len(alone.epochs) == 2
    for each in (first, second):
        assert_close_states(each["state"], state(alone.student))


def test_two_workers_go_on_to_the_numbers_of_an_uninterrupted_training(both):
    first, second = (each["train_in_two_parts"] for each in both)
    assert first["cut"]["stopped"]
    assert len(first["cut"]["numbers"]) == 2
    assert torch.equal(first["rest"]["numbers"], first["whole"]["numbers"])
    for each in (first, second):
        whole, rest = each["whole"]["state"], each["rest"]["state"]
        assert all(torch.equal(rest[name], whole[name]) for name in whole)


def test_a_validation_that_fails_on_the_first_worker_ends_the_trial_on_both(both):
    # The trials after this one ran: neither worker was left behind.
    for each in both:
        assert each["train_no_number"] == "epoch 1: the validation loss is nan"


def test_a_student_at_chance_ends_the_trial_on_both_alike(both):
    first, second = (each["train_at_chance"] for each in both)
    assert first.startswith("epoch 2: the student is at chance: ")
    assert first == second


def test_a_teacher_is_made_by_both_together_and_found_by_both(both):
    (made, found), (made_too, found_too) = (each["get_teacher"] for each in both)
    assert (made[0], made_too[0], found[0], found_too[0]) == (False, False, True, True)
    assert len({each[1] for each in (made, made_too, found, found_too)}) == 1
    for each in (made_too, found, found_too):
        assert all(torch.equal(each[2][name], value) for name, value in made[2].items())


def test_a_teacher_that_only_the_first_worker_sees_is_told(both):
    assert both[0]["get_hidden_teacher"] == "found"
    assert both[1]["get_hidden_teacher"].startswith("worker 1 cannot read the teacher that")
    assert both[1]["get_hidden_teacher"].endswith("must lie on storage that all nodes share")


def test_only_the_first_worker_measures_and_writes(both):
    first, second = (each["run_session"] for each in both)
    assert (first["status"], second["status"]) == ("complete", "complete")
    assert {"accuracy", "loss", "params", "macs", "size_bytes", "latency_ms"} == set(
        first["metrics"]
    )
    assert second["metrics"] == {}
    assert (first["written"], second["written"]) == (True, False)


def test_one_worker_needs_no_group():
    values = torch.arange(3.0)
    assert ALONE.is_first
    assert ALONE.sum(values) is values
    assert ALONE.told_by_first(0.1, CPU) == 0.1
    assert [ALONE.agree(answer, CPU) for answer in (True, False)] == [True, False]
    step = nn.Linear(1, 1)
    assert ALONE.share_gradients(step) is step
