"""Self-distillation through the trainer: the student that comes out has no heads."""

import torch
from tiny_trials import STUDENT, go_on, spec, trained

from kdsweep import catalog
from kdsweep.models.size import count_params, size_bytes
from kdsweep.spec import Component

HEADS = {"name": "self_distillation", "hint_weight": 0.1, "hidden": 8}


def test_the_student_is_the_plain_one_and_has_learned_from_its_heads():
    plain = catalog.model(Component(**STUDENT), shape=(1, 8, 8), num_classes=10)
    found = trained(spec(HEADS))
    assert list(found.student.state_dict()) == list(plain.state_dict())
    assert count_params(found.student) == count_params(plain)
    assert size_bytes(found.student) == size_bytes(plain)
    assert set(found.epochs[0].train) == {"total", "hard", "heads", "hint"}
    assert found.raw_weights["heads"] == torch.tensor(0.3).item()
    # Without weight the heads learn and the layers below do not hear of it.
    deaf = trained(spec(HEADS | {"raw_weight": 0.0, "hint_weight": 0.0}))
    first = "stages.0.0.weight"
    assert not torch.equal(found.student.state_dict()[first], deaf.student.state_dict()[first])


def test_labels_may_be_scarce():
    found = trained(spec(HEADS, train={"label_share": 0.2}))
    assert all(epoch.train["heads"] > 0 for epoch in found.epochs)


def test_the_same_trial_gives_the_same_numbers():
    one, other = (trained(spec(HEADS), go_on).epochs for _ in range(2))
    assert [epoch.train for epoch in one] == [epoch.train for epoch in other]
