"""Function matching: what is mixed, what is not, and where it is refused."""

import pytest
import torch

from kdsweep import catalog
from kdsweep.batch import Batch, Outputs, Tokens
from kdsweep.errors import SpecError
from kdsweep.losses.logits import soft_targets
from kdsweep.spec import Component
from kdsweep.strategies.base import Probe, Seen
from kdsweep.train.objective import Objective

N = 64
# Example i is white at pixel i alone: a mixture shows its two parts and their shares.
IMAGES = torch.eye(N).reshape(N, 1, 8, 8)
BATCH = Batch({"images": IMAGES}, torch.arange(N) % 3, torch.arange(N) + 100, view=2)


def probe(shape=(1, 8, 8), teacher_shape=(1, 8, 8)):
    logits = Outputs(torch.zeros(2, 3))
    return Probe(logits, logits, (), (), 3, shape=shape, teacher_shape=teacher_shape)


def strategy(**settings):
    return catalog.strategy(Component(name="function_matching", **settings), probe())


def mixed(seed=0, **settings):
    torch.manual_seed(seed)
    return strategy(**settings).changed(BATCH)


def test_every_image_is_a_mixture_with_one_other_of_the_batch():
    shares = mixed().images.reshape(N, N)
    torch.testing.assert_close(shares.sum(1), torch.ones(N))
    assert ((shares > 0).sum(1) <= 2).all()
    own = shares.diagonal()
    assert (own > 0).all()
    # Each is some other's partner once: what all give away is what all receive.
    partners = (shares - own.diag() > 0).int()
    assert (partners.sum(0) <= 1).all()
    assert partners.sum() > N / 2


def test_each_example_has_a_share_of_its_own():
    own = mixed().images.reshape(N, N).diagonal()
    assert own.unique().numel() > N / 2


@pytest.mark.parametrize("mixup", [0.1, 1.0, 20.0])
def test_shares_are_of_the_beta_distribution(mixup):
    torch.manual_seed(0)
    images = torch.zeros(20_000, 1, 1, 1)
    images[:10_000] = 1
    batch = Batch({"images": images}, torch.zeros(20_000), torch.arange(20_000))
    changed = strategy(mixup=mixup).changed(batch).images
    # Half of the white ones meet another white one and stay 1; of the others the share is seen.
    mixtures = changed[:10_000, 0, 0, 0]
    second_moment = 0.5 + 0.5 * (0.25 + 1 / (4 * (2 * mixup + 1)))
    assert mixtures.mean().item() == pytest.approx(0.75, abs=0.01)
    assert mixtures.square().mean().item() == pytest.approx(second_moment, abs=0.01)


def test_labels_ids_and_view_stay():
    changed = mixed()
    assert torch.equal(changed.labels, BATCH.labels)
    assert torch.equal(changed.ids, BATCH.ids)
    assert changed.view == BATCH.view
    assert torch.equal(BATCH.images, IMAGES)


def test_the_seed_decides_the_mixture():
    assert torch.equal(mixed(seed=1).images, mixed(seed=1).images)
    assert not torch.equal(mixed(seed=1).images, mixed(seed=2).images)


def test_what_cannot_be_mixed_is_not_passed_on_unmixed():
    paired = Batch({"images": IMAGES, "tokens": torch.ones(N, 4)}, BATCH.labels, BATCH.ids)
    assert set(strategy().changed(paired).inputs) == {"images"}


def test_one_example_is_its_own_partner():
    one = Batch({"images": IMAGES[:1]}, BATCH.labels[:1], BATCH.ids[:1])
    torch.testing.assert_close(strategy().changed(one).images, IMAGES[:1])


def test_the_total_is_the_softened_divergence_and_the_labels_have_no_part():
    objective = Objective(Component(name="function_matching", temperature=3), probe())
    student, teacher = torch.randn(N, 3, requires_grad=True), torch.randn(N, 3)
    got = objective(Seen(BATCH, Outputs(student), Outputs(teacher)))[0]
    assert torch.equal(got, soft_targets(student, teacher, 3.0))
    others = Batch(BATCH.inputs, (BATCH.labels + 1) % 3, BATCH.ids)
    again = objective(Seen(others, Outputs(student), Outputs(teacher)))[0]
    gradients = [torch.autograd.grad(each.sum(), student)[0] for each in (got, again)]
    assert torch.equal(*gradients)


def test_it_needs_a_teacher_that_sees_the_mixture():
    found = catalog.find("strategy", "function_matching").needs
    assert found.teacher
    assert not found.stored


@pytest.mark.parametrize("reader", ["student", "teacher"])
def test_texts_are_refused(reader):
    text = {"shape" if reader == "student" else "teacher_shape": Tokens(16, 500)}
    with pytest.raises(SpecError) as caught:
        catalog.strategy(Component(name="function_matching"), probe(**text))
    assert caught.value.problems == (
        f"images are mixed, and the {reader} reads texts of 16 tokens out of 500: no text lies "
        "between two others; use strategy kd with alpha: 0",
    )


def test_as_an_extra_it_is_refused():
    with pytest.raises(SpecError, match=r"^strategy\.extra\.function_matching: decides what both"):
        catalog.extras(Component(name="kd", extra={"function_matching": {}}))
