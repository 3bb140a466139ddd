"""DIST against correlations worked by hand; one example; its defaults."""

import pytest
import torch

from kdsweep import catalog
from kdsweep.batch import Batch, Outputs
from kdsweep.errors import SpecError
from kdsweep.losses.logits import hard_labels
from kdsweep.spec import Component
from kdsweep.strategies.base import Probe, Seen, Weight
from kdsweep.train.objective import Objective

# Probabilities at T = 3. Of two classes a row correlates perfectly (r = 1) or not at all (r = -1);
# the columns (1, 2, 3) / 4 and (1, 1, 2) / 4 have r = 3 / sqrt 12.
STUDENT = 3 * torch.tensor([[1.0, 3], [2, 2], [3, 1]]).log()
TEACHER = 3 * torch.tensor([[1.0, 3], [1, 3], [2, 2]]).log()
BATCH = Batch({"images": torch.zeros(3, 1, 1, 1)}, torch.tensor([0, 1, 0]), torch.arange(3))


def probe(teacher_classes=2):
    return Probe(
        Outputs(torch.zeros(2, 2)), Outputs(torch.zeros(2, teacher_classes)), (), (), 2
    )  # fmt: skip


def test_total_by_hand():
    objective = Objective(Component(name="dist", temperature=3, w_inter=5, w_intra=7), probe())
    got, terms = objective(Seen(BATCH, Outputs(STUDENT), Outputs(TEACHER)))
    # The student's second row and the teacher's third are constant: 1 - 0.
    inter, intra = torch.tensor([0.0, 1.0, 1.0]), 1 - 3 / 12**0.5
    expected = hard_labels(STUDENT, BATCH.labels) + 9 * (5 * inter + 7 * intra)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(terms["intra"], torch.full((3,), 9 * intra))


def test_published_defaults():
    strategy = catalog.strategy(Component(name="dist"), probe())
    assert strategy.params.temperature == 1
    assert strategy.weights() == {
        "hard": Weight(1.0), "inter": Weight(1.0), "intra": Weight(1.0)
    }  # fmt: skip


def test_one_example_teaches_its_row_alone():
    one = Batch({"images": torch.zeros(1, 1, 1, 1)}, torch.tensor([1]), torch.arange(1))
    student = torch.tensor([[2.0, 1.0]], requires_grad=True)
    objective = Objective(Component(name="dist"), probe())
    got, terms = objective(Seen(one, Outputs(student), Outputs(TEACHER[:1])))
    assert torch.equal(terms["intra"], torch.zeros(1))
    torch.testing.assert_close(terms["inter"], torch.tensor([2.0]))
    got.sum().backward()
    assert student.grad.isfinite().all()


def test_a_teacher_of_other_classes_is_refused():
    with pytest.raises(SpecError, match="the student has 2 classes and the teacher 5: "):
        catalog.strategy(Component(name="dist"), probe(5))
