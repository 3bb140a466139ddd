"""An image teacher and a text student, and the reverse: terms by hand, then learning."""

import math

import numpy as np
import pytest
import torch

from kdsweep import catalog
from kdsweep.batch import Batch, Outputs, Tokens
from kdsweep.errors import SpecError
from kdsweep.losses.embeddings import info_nce
from kdsweep.losses.logits import soft_targets
from kdsweep.models.embedding import embedding
from kdsweep.models.features import FeatureTap
from kdsweep.spec import Component
from kdsweep.strategies.base import Layers, Needs, Probe, Seen, Weight
from kdsweep.train.objective import Objective

IMAGE, TEXT = (1, 8, 8), Tokens(length=6, vocabulary=20)
NETWORKS = {
    IMAGE: {"name": "cnn", "width": 4, "stages": 2, "hidden": 12},
    TEXT: {"name": "text_cnn", "width": 8, "filters": 6, "kernels": [1, 2]},
}


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def outputs(num_examples, width, seed=0):
    return Outputs(
        normal(num_examples, 3, seed=seed), {"e": normal(num_examples, width, seed=seed + 1)}
    )


def probe(**changes):
    networks = {"student": outputs(2, 5), "teacher": outputs(2, 4)}
    embeddings = {"student_embedding": "e", "teacher_embedding": "e"}
    stages = {"student_stages": (), "teacher_stages": ()}
    return Probe(**networks | embeddings | stages | {"num_classes": 3} | changes)


def made(**settings):
    torch.manual_seed(0)
    return catalog.strategy(Component(name="cross_modal", **settings), probe())


BATCH = Batch(
    {"images": torch.zeros(3, *IMAGE), "tokens": torch.ones(3, 6).long()},
    torch.tensor([0, 1, 2]),
    torch.arange(3),
)
SEEN = Seen(BATCH, outputs(3, 5, seed=3), outputs(3, 4, seed=7))


def test_terms_against_numpy():
    strategy = made(temperature=2.0)
    terms = strategy.terms(SEEN)
    assert set(terms) == {"soft", "embedding"}
    weight, bias = (
        p.detach().double().numpy() for p in (strategy.projection.weight, strategy.projection.bias)
    )
    ours = SEEN.student.features["e"].double().numpy() @ weight.T + bias
    theirs = SEEN.teacher.features["e"].double().numpy()
    cosine = (
        (ours * theirs).sum(axis=1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    )
    # |a - b|^2 = 2 - 2 cos, and a mean over the teacher's four numbers.
    np.testing.assert_allclose(terms["embedding"].detach().numpy(), (1 - cosine) / 2, rtol=1e-4)
    soft = soft_targets(SEEN.student.logits, SEEN.teacher.logits, 2.0)
    assert torch.equal(terms["soft"], soft)


def test_the_contrast_is_of_the_same_embeddings():
    strategy = made(w_contrast=1.0, contrast_temperature=0.2)
    ours = strategy.projection(SEEN.student.features["e"])
    expected = info_nce(ours, SEEN.teacher.features["e"], 0.2)
    torch.testing.assert_close(strategy.terms(SEEN)["contrast"], expected)


def test_weights():
    relative, raw = Weight(1.0, relative=True), Weight(2000.0)
    assert made().weights() == {"hard": Weight(0.5), "soft": Weight(0.5), "embedding": relative}
    paper = made(raw_weight=2000, w_contrast=1.0, alpha=1.0).weights()
    assert paper == {
        "hard": Weight(1.0), "soft": Weight(0.0), "embedding": raw, "contrast": Weight(1.0)
    }  # fmt: skip


def test_what_it_reads_and_learns():
    strategy = made()
    assert strategy.layers == Layers(("e",), ("e",))
    assert strategy.needs == Needs(teacher=True, features=True)
    assert [tuple(p.shape) for p in strategy.parameters()] == [(4, 5), (4,)]


@pytest.mark.parametrize("learnt", [True, False])
def test_the_temperature_is_learnt_or_kept(learnt):
    strategy = made(w_contrast=1.0, learn_contrast_temperature=learnt)
    strategy.terms(SEEN)["contrast"].sum().backward()
    named = dict(strategy.named_parameters())
    assert ("log_temperature" in named) == learnt
    assert not learnt or named["log_temperature"].grad.abs() > 0
    assert "log_temperature" in strategy.state_dict()
    torch.testing.assert_close(strategy.log_temperature.exp(), torch.tensor(0.07))


def test_a_learnt_temperature_does_not_run_away():
    strategy = made(w_contrast=1.0)
    with torch.no_grad():
        strategy.log_temperature.fill_(-100.0)
    ours = strategy.projection(SEEN.student.features["e"])
    expected = info_nce(ours, SEEN.teacher.features["e"], 0.01)
    torch.testing.assert_close(strategy.terms(SEEN)["contrast"], expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"teacher": None}, "needs a teacher"),
        ({"teacher": Outputs(torch.zeros(2, 7))}, "the student has 3 classes and the teacher 7"),
        ({"student_embedding": None}, "student_layer: the student has no embedding"),
        ({"teacher_embedding": None}, "teacher_layer: the teacher has no embedding"),
    ],
)
def test_networks_refused(changes, message):
    with pytest.raises(SpecError, match=message):
        catalog.strategy(Component(name="cross_modal"), probe(**changes))


def test_settings_have_bounds():
    with pytest.raises(SpecError, match="contrast_temperature: 0 is not allowed"):
        made(contrast_temperature=0)
    with pytest.raises(SpecError, match=r"give either weight \(relative\) or raw_weight"):
        made(weight=1.0, raw_weight=2000.0)


def pairs(num_examples=48):
    """Pictures and texts of four classes: a bright quarter, and a word that names it."""
    labels = torch.arange(num_examples) % 4
    images = 0.3 * normal(num_examples, 1, 8, 8, seed=1)
    tokens = torch.randint(5, 20, (num_examples, 6), generator=torch.Generator().manual_seed(2))
    for number, label in enumerate(labels.tolist()):
        row, column = 4 * (label // 2), 4 * (label % 2)
        images[number, 0, row : row + 4, column : column + 4] += 1
        tokens[number, number % 3] = label + 1
        tokens[number, 3 + number % 3 :] = 0
    return Batch({"images": images, "tokens": tokens}, labels, torch.arange(num_examples))


def network(shape, seed):
    torch.manual_seed(seed)
    return catalog.model(Component(**NETWORKS[shape]), shape=shape, num_classes=4)


def seen_by(model, path, batch):
    with FeatureTap(model, [path]) as tap:
        return Outputs(model(batch.seen_by(model)), tap.features)


@pytest.mark.parametrize(("ours", "theirs"), [(TEXT, IMAGE), (IMAGE, TEXT)], ids=["text", "image"])
def test_a_student_learns_from_a_teacher_of_another_modality(ours, theirs):
    batch, labels = pairs(), pairs().labels
    teacher, student = network(theirs, seed=1), network(ours, seed=2)
    optimizer = torch.optim.Adam(teacher.parameters(), lr=1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(teacher(batch.seen_by(teacher)), labels).backward()
        optimizer.step()
    teacher.eval()
    paths = [embedding(model, batch.seen_by(model)) for model in (student, teacher)]
    probed = Probe(
        seen_by(student, paths[0], batch), seen_by(teacher, paths[1], batch), (), (), 4,
        student_embedding=paths[0], teacher_embedding=paths[1], shape=ours, teacher_shape=theirs,
    )  # fmt: skip
    # No label is used: all that the student knows comes from the other modality.
    settings = {"alpha": 0.0, "raw_weight": 10.0, "w_contrast": 0.1}
    objective = Objective(Component(name="cross_modal", **settings), probed)
    optimizer = torch.optim.Adam([*student.parameters(), *objective.parameters()], lr=1e-2)
    with torch.no_grad():
        taught = seen_by(teacher, paths[1], batch)
    distances = []
    for _ in range(60):
        total, terms = objective(Seen(batch, seen_by(student, paths[0], batch), taught))
        distances.append(terms["embedding"].mean().item())
        optimizer.zero_grad()
        total.mean().backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = (student(batch.seen_by(student)).argmax(dim=1) == labels).float().mean()
        agreed = (teacher(batch.seen_by(teacher)).argmax(dim=1) == labels).float().mean()
    assert agreed == 1
    assert accuracy > 0.95
    assert distances[-1] < distances[0] / 4
    assert math.isfinite(sum(distances))
