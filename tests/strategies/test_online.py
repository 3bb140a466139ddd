"""Networks that learn together: the losses by hand, what reaches whom, who takes part."""

import math

import pytest
import torch
from torch import Tensor, nn

from kdsweep import catalog
from kdsweep.batch import UNLABELLED, Batch, Outputs
from kdsweep.errors import SpecError
from kdsweep.losses.logits import hard_labels, soft_targets
from kdsweep.spec import Component
from kdsweep.strategies.base import Needs, Probe, Seen, Weight

LABELS = torch.tensor([0, 2, 1, 1])


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Peer(nn.Module):
    """A linear layer behind a batch norm."""

    def __init__(self, reads=None):
        super().__init__()
        self.norm = nn.BatchNorm1d(5)
        self.last = nn.Linear(5, 3)
        if reads is not None:
            self.reads = reads

    def forward(self, inputs: Tensor) -> Tensor:
        return self.last(self.norm(inputs.flatten(1).float()))


class Fixed(nn.Module):
    """Gives the logits that it was made of."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.logits


def probe(**changes):
    given = {"new_student": Peer, "new_teacher": None, **changes}
    return Probe(Outputs(torch.zeros(2, 3)), None, (), (), 3, **given)


def online(settings=None, **changes):
    torch.manual_seed(0)
    return catalog.strategy(Component(name="online", **(settings or {})), probe(**changes))


def seen(logits=None, labels=LABELS, inputs=None):
    inputs = {"images": drawn(4, 1, 1, 5)} if inputs is None else inputs
    return Seen(
        Batch(inputs, labels, torch.arange(4)), Outputs(drawn(4, 3) if logits is None else logits)
    )


def of(*logits, **settings):
    """A strategy whose peers give fixed logits."""
    makers = iter([Fixed(each) for each in logits])
    return online({"peers": len(logits), **settings}, new_student=lambda: next(makers))


def test_terms_by_hand():
    # Student (1/2, 1/2), peer (1/4, 3/4), label 0: KL of the peer from the student is
    # 1/4 ln 1/2 + 3/4 ln 3/2, of the student from the peer 1/2 ln 4/3; the peer's CE is ln 4.
    made = of(torch.tensor([[0.25, 0.75]]).log())
    batch = Batch({"images": torch.zeros(1, 1)}, torch.tensor([0]), torch.tensor([0]))
    got = made.terms(Seen(batch, Outputs(torch.zeros(1, 2))))
    mutual = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    torch.testing.assert_close(got["mutual"], torch.tensor([mutual]))
    torch.testing.assert_close(got["peers"], torch.tensor([math.log(4) + 0.5 * math.log(4 / 3)]))


def test_everyone_learns_from_the_mean_of_all_others():
    own, first, second = drawn(4, 3), drawn(4, 3, seed=1), drawn(4, 3, seed=2)
    got = of(first, second, temperature=3.0, w_ce=0.5, w_mutual=2.0).terms(seen(own))

    def from_others(student, *others):
        return sum(soft_targets(student, other, 3.0) for other in others) / 2

    torch.testing.assert_close(got["mutual"], from_others(own, first, second))
    expected = 0.5 * (hard_labels(first, LABELS) + hard_labels(second, LABELS))
    expected += 2.0 * (from_others(first, own, second) + from_others(second, own, first))
    torch.testing.assert_close(got["peers"], expected)


def test_defaults_are_the_papers():
    made = online({"peers": 1})
    assert made.weights() == {"hard": Weight(1.0), "mutual": Weight(1.0), "peers": Weight(1.0)}
    assert made.params.temperature == 1
    assert made.needs == Needs(teacher=False)


def test_the_losses_of_all_are_weighed_alike():
    weights = online({"peers": 1, "w_ce": 0.3, "w_mutual": 2.0}).weights()
    assert weights == {"hard": Weight(0.3), "mutual": Weight(2.0), "peers": Weight(1.0)}


def test_each_loss_reaches_its_own_network_alone():
    own = drawn(4, 3).requires_grad_()
    made = online({"peers": 2})
    terms = made.terms(seen(own))
    parameters = list(made.parameters())
    mutual = torch.autograd.grad(
        terms["mutual"].sum(), [own, *parameters], retain_graph=True, allow_unused=True
    )
    assert mutual[0].abs().sum() > 0
    assert mutual[1:] == (None,) * len(parameters)
    peers = torch.autograd.grad(terms["peers"].sum(), [own, *parameters], allow_unused=True)
    assert peers[0] is None
    assert all(gradient.abs().sum() > 0 for gradient in peers[1:])


def test_a_peer_learns_as_if_the_others_stood_still():
    """The gradient of one peer's own loss: the others' logits are numbers to it."""
    own, (first, second) = drawn(4, 3), (drawn(4, 3, seed=i).requires_grad_() for i in (1, 2))
    made = of(first.detach(), second.detach())
    made.terms(seen(own))["peers"].sum().backward()
    loss = hard_labels(first, LABELS)
    for other in (own, second.detach()):
        loss = loss + soft_targets(first, other, 1.0) / 2
    loss.sum().backward()
    torch.testing.assert_close(made.peers[0].logits.grad, first.grad)


def test_one_learner_for_each_peer():
    made = online({"peers": 2, "lr": 0.05}, new_teacher=Peer)
    learners = made.learners()
    assert [learner.module for learner in learners] == list(made.peers)
    assert [learner.lr for learner in learners] == [0.05] * 3
    assert all(learner.lr is None for learner in online({"peers": 1}).learners())


@pytest.mark.parametrize(
    ("settings", "has_teacher", "expected"),
    [
        ({}, True, ["teacher"]),
        ({"peers": 2}, True, ["teacher", "student", "student"]),
        ({"peers": 2}, False, ["student", "student"]),
        ({"teacher": False, "peers": 1}, True, ["student"]),
    ],
)
def test_who_learns_together(settings, has_teacher, expected):
    def like(name):
        def make():
            peer = Peer()
            peer.like = name
            return peer

        return make

    made = online(
        settings, new_student=like("student"), new_teacher=like("teacher") if has_teacher else None
    )
    assert [peer.like for peer in made.peers] == expected


def test_peers_of_one_architecture_start_differently():
    first, second = online({"peers": 2}).peers
    assert not torch.equal(first.last.weight, second.last.weight)


@pytest.mark.parametrize(
    ("settings", "changes"), [({}, {}), ({"teacher": False}, {"new_teacher": Peer})]
)
def test_a_student_without_peers_is_refused(settings, changes):
    with pytest.raises(SpecError) as caught:
        online(settings, **changes)
    assert caught.value.problems == (
        "peers: 0 is not allowed here: the student would learn alone; give peers: 1 or more, or a "
        "teacher to the trial (with teacher: true), to learn together with",
    )


def test_peers_are_in_training_mode_though_made_by_one_in_evaluation():
    made = online({"peers": 1}, new_student=lambda: Peer().eval())
    assert made.peers[0].norm.training
    made.terms(seen())
    assert made.peers[0].norm.num_batches_tracked == 1


def test_a_peer_reads_its_own_input():
    inputs = {"images": drawn(4, 1, 1, 5), "tokens": torch.arange(20).reshape(4, 5)}
    made = online({"peers": 1}, new_teacher=lambda: Peer("tokens"))
    got = made.terms(seen(inputs=inputs))["peers"]
    like_teacher, like_student = (peer.train() for peer in made.peers)
    first, second = like_teacher(inputs["tokens"]), like_student(inputs["images"])
    own = seen().student.logits
    expected = hard_labels(first, LABELS) + hard_labels(second, LABELS)
    for student, others in ((first, (own, second)), (second, (own, first))):
        expected = expected + sum(soft_targets(student, other, 1.0) for other in others) / 2
    torch.testing.assert_close(got, expected)


def test_without_a_label_a_peer_learns_from_the_others_alone():
    labels = torch.tensor([0, UNLABELLED, UNLABELLED, 1])
    own, peer = drawn(4, 3), drawn(4, 3, seed=1)
    got = of(peer).terms(seen(own, labels))["peers"]
    mutual = soft_targets(peer, own, 1.0)
    torch.testing.assert_close(got[1:3], mutual[1:3])
    # The mean over the batch is that over the two that have a label.
    known = hard_labels(peer, labels)[[0, 3]]
    torch.testing.assert_close((got - mutual).mean(), known.mean())


def test_a_batch_without_any_label():
    nothing = torch.full((4,), UNLABELLED)
    own, peer = drawn(4, 3), drawn(4, 3, seed=1)
    got = of(peer).terms(seen(own, nothing))["peers"]
    torch.testing.assert_close(got, soft_targets(peer, own, 1.0))


def test_peers_are_in_the_checkpoint():
    saved, loaded = online({"peers": 1}), online({"peers": 1})
    saved.terms(seen())
    with torch.no_grad():
        saved.peers[0].last.weight.add_(1)
    loaded.load_state_dict(saved.state_dict())
    assert torch.equal(*(made.terms(seen())["peers"] for made in (saved, loaded)))
