"""Two real workers with the strategies that keep state or learn more than the student."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from tiny_trials import OF_TEACHER, spec, state, teacher, trained
from torch import nn

from kdsweep.errors import TrialError
from kdsweep.spec import TrialSpec
from kdsweep.strategies.crd import ContrastiveDistillation
from kdsweep.strategies.none import NoDistillation
from kdsweep.train import loop
from kdsweep.train.ranks import ALONE, Ranks
from kdsweep.train.step import Step

TIMEOUT_S = 120
STRATEGIES: dict[str, dict[str, Any]] = {
    "crd": {"name": "crd", "negatives": 16},
    "online": {"name": "online", "peers": 1},
    "data_free": {
        "name": "data_free",
        "batches_per_epoch": 4,
        "width": 4,
        "noise": 8,
        "least_variety": 0,
        "above_chance": None,
    },
    "self_distillation": {"name": "self_distillation"},
    # Its loss has parameters of its own that learn: a variance for each channel.
    "vid": {"name": "vid"},
    "function_matching": {"name": "function_matching"},
    "dkd of few labels": {"name": "dkd"},
}


class Kept(Step):
    """Lets a test see the objective after training."""

    last: "Kept"

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        Kept.last = self


class Misnamed(NoDistillation):
    """A user's strategy that names a buffer it does not have."""

    kept_equal = ("bank",)

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.register_buffer("banks", torch.zeros(1))


class Remembering(nn.Module):
    """A norm, and a memory that nobody sends."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)
        self.register_buffer("bank", torch.full((2,), start))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        normed: torch.Tensor = self.norm(values)
        return normed


def trial_of(name: str) -> TrialSpec:
    train = {"epochs": 2, "label_share": 0.3 if "few" in name else 1.0}
    return spec(STRATEGIES[name], teacher={"model": OF_TEACHER}, train=train)


def run(name: str, ranks: Ranks) -> dict[str, Any]:
    loop.Step = Kept  # type: ignore[misc]
    try:
        done = trained(trial_of(name), teacher=teacher(), ranks=ranks)
    finally:
        loop.Step = Step  # type: ignore[misc]
    objective = {
        key: value
        for key, value in state(Kept.last.objective).items()
        if "running" not in key and "num_batches" not in key
    }
    return {
        "student": state(done.student),
        "objective": objective,
        "epochs": [epoch.train for epoch in done.epochs],
    }


def run_with_banks_sent(ranks: Ranks) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ContrastiveDistillation, "kept_equal", ())
        return run("crd", ranks)


def buffers_around_a_forward(ranks: Ranks) -> dict[str, float]:
    """Of a module whose buffers each worker has set to another value before each of both."""
    module = Remembering(start=ranks.rank + 1.0)
    shared = ranks.share_gradients(module, ("bank",)).eval()
    found = {"bank at the start": module.bank[0].item()}
    module.bank.fill_(ranks.rank + 5.0)
    module.norm.running_mean.fill_(ranks.rank + 5.0)
    shared(torch.ones(3, 2))
    return {
        **found,
        "bank": module.bank[0].item(),
        "running mean": module.norm.running_mean[0].item(),
    }


def work(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder / 'meeting'}",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=TIMEOUT_S),
    )
    ranks = Ranks(rank, 2)
    found: dict[str, Any] = {name: run(name, ranks) for name in STRATEGIES}
    found["crd, banks sent"] = run_with_banks_sent(ranks)
    found["buffers"] = buffers_around_a_forward(ranks)
    own = torch.arange(rank + 2.0).reshape(-1, 1) + 10 * rank
    found["gathered"] = ranks.gather(own.requires_grad_())
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of the two workers ended with."""
    folder = tmp_path_factory.mktemp("ranks")
    mp.spawn(work, (folder,), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


@pytest.mark.parametrize("name", STRATEGIES)
def test_both_workers_end_with_the_same_student_and_the_same_learned_parts(both, name):
    first, second = (each[name] for each in both)
    for part in ("student", "objective"):
        assert first[part].keys() == second[part].keys()
        for key, value in first[part].items():
            assert torch.equal(value, second[part][key]), f"{part}: {key}"


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_training_moved_and_stayed_finite(both, name):
    alone = run(name, ALONE)
    first = both[0][name]
    assert len(first["epochs"]) == 2
    assert all(value == value for epoch in first["epochs"] for value in epoch.values())
    moved = [
        not torch.equal(first["student"][key], value) for key, value in alone["student"].items()
    ]
    assert any(moved)


def test_banks_that_are_not_sent_are_equal_and_those_that_sent_ones_would_be(both):
    banks = [f"strategies.0.{name}" for name in ContrastiveDistillation.kept_equal]
    assert banks == [
        "strategies.0.student_bank",
        "strategies.0.teacher_bank",
        "strategies.0.labels",
    ]
    for each in both:
        kept, sent = each["crd"], each["crd, banks sent"]
        assert kept["epochs"] == sent["epochs"]
        for part in ("student", "objective"):
            assert all(torch.equal(kept[part][key], value) for key, value in sent[part].items())
        for bank in banks:
            assert torch.equal(kept["objective"][bank], both[0]["crd"]["objective"][bank])
    assert (kept["objective"][banks[-1]] >= 0).all()  # Every example has been seen.


def test_only_the_buffers_that_are_kept_equal_are_not_sent(both):
    first, second = (each["buffers"] for each in both)
    assert first == {"bank at the start": 1.0, "bank": 5.0, "running mean": 5.0}
    assert second == {"bank at the start": 1.0, "bank": 6.0, "running mean": 5.0}


def test_a_strategy_that_keeps_a_buffer_equal_which_it_has_not_is_refused():
    wrong = spec({"name": f"{__name__}:Misnamed"})
    message = r"Misnamed has no buffer 'bank', which its kept_equal names; it has: banks$"
    with pytest.raises(TrialError, match=message):
        trained(wrong)


def test_self_distillation_of_two_workers_is_that_of_one(both):
    first, alone = both[0]["self_distillation"], run("self_distillation", ALONE)
    for key, value in alone["student"].items():
        torch.testing.assert_close(first["student"][key], value, rtol=1e-3, atol=2e-5, msg=key)


def test_gathered_values_are_those_of_all_workers_in_order(both):
    for each in both:
        assert each["gathered"].flatten().tolist() == [0.0, 1.0, 10.0, 11.0, 12.0]
        assert not each["gathered"].requires_grad


def test_alone_a_worker_gathers_its_own():
    values = torch.ones(2, requires_grad=True)
    assert torch.equal(ALONE.gather(values), values)
    assert not ALONE.gather(values).requires_grad
