"""Contrast with memory banks: the published numbers in NumPy, and what is drawn."""

import numpy as np
import pytest
import torch
from crd_steps import ALL, NUM_SAMPLES, contrast, crd, probe, seen

from kdsweep import catalog
from kdsweep.batch import UNLABELLED
from kdsweep.errors import SpecError
from kdsweep.spec import Component
from kdsweep.strategies.base import Layers, Needs, Weight


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Published:
    """The method in NumPy float64 as its paper and code have it, all others being negatives."""

    def __init__(self, strategy):
        state = {k: v.double().numpy().copy() for k, v in strategy.state_dict().items()}
        self.projections = [
            (state[f"{who}_projection.weight"], state[f"{who}_projection.bias"])
            for who in ("student", "teacher")
        ]
        self.banks = [state["student_bank"], state["teacher_bank"]]
        self.normalisers = [None, None]

    def step(self, step, momentum, temperature):
        ids, num_negatives = step.batch.ids.numpy(), NUM_SAMPLES - 1
        features = [step.student.features["e"], step.teacher.features["e"]]
        vectors = [
            unit(each.double().numpy() @ weight.T + bias)
            for each, (weight, bias) in zip(features, self.projections, strict=True)
        ]
        entries = np.stack([[i, *(j for j in range(NUM_SAMPLES) if j != i)] for i in ids])
        loss = np.zeros(len(ids))
        for direction in (0, 1):
            bank = self.banks[1 - direction][entries]
            likely = np.exp(np.einsum("nd,nkd->nk", vectors[direction], bank) / temperature)
            if self.normalisers[direction] is None:
                self.normalisers[direction] = likely.mean() * NUM_SAMPLES
            likely /= self.normalisers[direction]
            noise = num_negatives / NUM_SAMPLES
            loss -= np.log(likely[:, 0] / (likely[:, 0] + noise))
            loss -= np.log(noise / (likely[:, 1:] + noise)).sum(axis=1)
        for bank, new in zip(self.banks, vectors, strict=True):
            bank[ids] = unit(momentum * bank[ids] + (1 - momentum) * new)
        return loss


def test_three_steps_are_those_of_the_paper():
    strategy = crd(**ALL, momentum=0.3, temperature=0.4)
    published = Published(strategy)
    for number, ids in enumerate([[0, 3, 6], [1, 3, 2], [3, 0, 5]]):
        step = seen(ids, seed=number)
        expected = published.step(step, momentum=0.3, temperature=0.4)
        got = contrast(strategy, step).detach().numpy()
        np.testing.assert_allclose(got, expected, rtol=1e-4)
    np.testing.assert_allclose(strategy.student_bank.numpy(), published.banks[0], rtol=1e-4)
    np.testing.assert_allclose(strategy.teacher_bank.numpy(), published.banks[1], rtol=1e-4)


def test_banks_start_as_random_directions_and_stay_of_length_one():
    strategy = crd(num_samples=300)
    for _ in range(2):
        for bank in (strategy.student_bank, strategy.teacher_bank):
            assert bank.shape == (300, 128)
            torch.testing.assert_close(bank.norm(dim=1), torch.ones(300))
        contrast(strategy, seen(range(10)))
    assert not torch.equal(strategy.student_bank, strategy.teacher_bank)
    assert strategy.student_bank.mean().abs() < 0.01


@pytest.mark.parametrize("negatives", [3, 5])
def test_others_are_drawn_alike_and_never_the_example_itself(negatives):
    strategy = crd(negatives=negatives)
    ids = torch.tensor([0, 3, 6] * 2000)
    entries = strategy._entries(ids)
    assert entries.shape == (6000, 1 + negatives)
    assert torch.equal(entries[:, 0], ids)
    assert not (entries[:, 1:] == ids.unsqueeze(1)).any()
    for own in (0, 3, 6):
        drawn = entries[ids == own][:, 1:].flatten()
        shares = torch.bincount(drawn, minlength=NUM_SAMPLES) / len(drawn)
        expected = torch.full((NUM_SAMPLES,), 1 / 6)
        expected[own] = 0
        torch.testing.assert_close(shares, expected, atol=0.025, rtol=0)


@pytest.mark.parametrize("negatives", [NUM_SAMPLES - 1, 16384])
def test_more_negatives_than_there_are_others_take_each_once(negatives):
    entries = crd(negatives=negatives)._entries(torch.tensor([2, 6]))
    assert entries.tolist() == [[2, 0, 1, 3, 4, 5, 6], [6, 0, 1, 2, 3, 4, 5]]


def test_two_samples_are_enough_and_one_is_not():
    loss = contrast(crd(num_samples=2), seen([1]))
    assert loss.shape == (1,)
    assert loss.isfinite().all()
    with pytest.raises(SpecError, match="there are 1 training examples, and each is told from"):
        crd(num_samples=1)


def test_those_known_to_be_of_the_same_class_are_no_negatives():
    strategy = crd(**ALL | {"negatives_are": "of_other_classes"})
    contrast(strategy, seen([0, 1, 2, 3], labels=[0, 0, 1, UNLABELLED]))
    assert strategy.labels.tolist() == [0, 0, 1, -1, -1, -1, -1]
    ids, labels = torch.tensor([4, 5, 6]), torch.tensor([0, 1, UNLABELLED])
    counted = strategy._counted(strategy._entries(ids), labels)
    # Of entries 0 to 6 without the own one; what has no known label is told apart.
    assert counted.int().tolist() == [[0, 0, 1, 1, 1, 1], [1, 1, 0, 1, 1, 1], [1] * 6]


def test_leaving_a_class_out_is_as_if_its_entries_were_not_there():
    strategy = crd(**ALL | {"negatives_are": "of_other_classes"})
    strategy.labels[:4] = 2
    fewer = crd(**ALL, num_samples=4)
    fewer.load_state_dict(
        {
            name: value[3:] if name in ("student_bank", "teacher_bank", "labels") else value
            for name, value in strategy.state_dict().items()
        }
    )
    got, expected = contrast(strategy, seen([3], labels=[2])), contrast(fewer, seen([0]))
    torch.testing.assert_close(got, expected)


def test_an_example_with_nothing_to_be_told_from_has_finite_gradients():
    strategy = crd(**ALL | {"negatives_are": "of_other_classes"})
    strategy.labels.zero_()
    loss = contrast(strategy, seen([0, 1]))
    loss.sum().backward()
    assert loss.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in strategy.parameters())


def test_published_defaults():
    strategy = crd()
    assert strategy.layers == Layers(("e",), ("e",))
    assert strategy.needs == Needs(teacher=True, features=True)
    assert strategy.weights() == {"hard": Weight(1.0), "contrast": Weight(1.0, relative=True)}
    assert crd(raw_weight=0.8).weights()["contrast"] == Weight(0.8)
    params = strategy.params
    assert (params.negatives, params.temperature, params.momentum) == (16384, 0.07, 0.5)
    assert params.dimension == 128


def test_a_network_without_an_embedding_is_refused():
    with pytest.raises(SpecError, match="teacher_layer: the teacher has no embedding"):
        catalog.strategy(Component(name="crd"), probe(teacher_embedding=None))
