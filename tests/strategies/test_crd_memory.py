"""Contrast with memory banks: what is remembered, by one worker and by two, and kept."""

import copy
from threading import Barrier, Thread

import torch
from crd_steps import ALL, contrast, crd, seen

from kdsweep.batch import Batch, Outputs
from kdsweep.strategies.base import Seen


def test_without_gradients_nothing_is_remembered():
    strategy = crd(**ALL)
    before = copy.deepcopy(strategy.state_dict())
    with torch.no_grad():
        first, second = contrast(strategy, seen([0, 1])), contrast(strategy, seen([0, 1]))
    assert torch.equal(first, second)
    after = strategy.state_dict()
    for name, value in before.items():
        assert torch.equal(after[name], value), name
    # The first batch that is trained on is as if there had been none before.
    torch.testing.assert_close(contrast(strategy, seen([0, 1])), first)


def test_only_the_first_batch_sets_the_normalisation():
    strategy = crd(**ALL)
    contrast(strategy, seen([0, 1], seed=1))
    first = strategy.log_means.clone()
    assert first.isfinite().all()
    contrast(strategy, seen([2, 3], seed=2))
    assert torch.equal(strategy.log_means, first)


def test_gradients_reach_both_linear_layers_and_the_student():
    strategy, step = crd(**ALL), seen([0, 1])
    student = step.student.features["e"].requires_grad_()
    contrast(strategy, step).sum().backward()
    assert student.grad.abs().sum() > 0
    for parameter in strategy.parameters():
        assert parameter.grad.abs().sum() > 0
    assert not strategy.student_bank.requires_grad


def test_a_checkpoint_goes_on_with_banks_labels_and_normalisation():
    strategy = crd(**ALL)
    contrast(strategy, seen([0, 1, 2], labels=[1, 0, 2]))
    loaded = crd(**ALL | {"temperature": 0.07})
    loaded.load_state_dict(strategy.state_dict())
    for step in (seen([2, 4], seed=5), seen([4, 0], seed=6)):
        assert torch.equal(contrast(loaded, step), contrast(strategy, step))
    assert torch.equal(loaded.labels, strategy.labels)


def test_a_checkpoint_from_before_the_first_batch_measures_anew():
    untouched, used = crd(**ALL), crd(**ALL)
    contrast(used, seen([0, 1]))
    used.load_state_dict(untouched.state_dict())
    assert torch.equal(contrast(used, seen([3, 4])), contrast(untouched, seen([3, 4])))


class Workers:
    """Two that join their tensors, each in a thread of its own."""

    def __init__(self):
        self.barrier, self.tensors = Barrier(2), [None, None]

    def gather(self, rank):
        def join(tensor):
            self.tensors[rank] = tensor.detach()
            self.barrier.wait(timeout=60)
            joined = torch.cat(self.tensors)
            self.barrier.wait(timeout=60)
            return joined

        return join


def part(step, rows, gather):
    batch = Batch(
        {"images": step.batch.images[rows]}, step.batch.labels[rows], step.batch.ids[rows]
    )
    sides = (
        Outputs(side.logits[rows], {"e": side.features["e"][rows]})
        for side in (step.student, step.teacher)
    )
    return Seen(batch, *sides, gather=gather)


def test_two_workers_remember_and_normalise_as_one_does():
    alone = crd(**ALL)
    pair, workers = [copy.deepcopy(alone), copy.deepcopy(alone)], Workers()
    steps = [seen([0, 4, 2], labels=[0, 1, 2], seed=1), seen([5, 0, 1], labels=[1, 0, 0], seed=2)]
    losses = {}

    def work(rank, rows):
        losses[rank] = [
            contrast(pair[rank], part(step, rows, workers.gather(rank))).detach() for step in steps
        ]

    threads = [
        Thread(target=work, args=(rank, rows)) for rank, rows in enumerate((slice(2), slice(2, 3)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    expected = [contrast(alone, step).detach() for step in steps]
    for each, one, two in zip(expected, losses[0], losses[1], strict=True):
        torch.testing.assert_close(torch.cat((one, two)), each)
    for worker in pair:
        for name, value in alone.state_dict().items():
            torch.testing.assert_close(worker.state_dict()[name], value)
