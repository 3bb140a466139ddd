"""Small transformers, what they give, and the strategy between two of them."""

import torch
from torch import Tensor, nn

from kdsweep import catalog
from kdsweep.batch import Anatomy, Batch, Outputs, Shape, Tokens, modality
from kdsweep.models.features import FeatureTap
from kdsweep.spec import Component
from kdsweep.strategies.base import Probe, Seen, Strategy

IMAGES = (1, 8, 8)
TEXTS = Tokens(length=10, vocabulary=50)
LENGTHS = (10, 7, 3, 1)
VIT = {"name": "vit", "patch": 4, "width": 16, "heads": 2, "depth": 2}
BERT = {"name": "bert", "layers": 4, "width": 16, "heads": 2}
DISTILBERT = {"name": "distilbert", "layers": 2, "width": 16, "heads": 2}
PAIRS = {
    "vit from vit": (VIT, {**VIT, "depth": 4}),
    "vit from wider vit": (VIT, {**VIT, "depth": 3, "width": 24, "heads": 4}),
    "bert from bert": ({**BERT, "layers": 2}, BERT),
    "distilbert from bert": (DISTILBERT, BERT),
    "distilbert from wider bert": ({**DISTILBERT, "heads": 4}, {**BERT, "width": 24}),
}


def network(component: dict[str, object], seed: int = 0, num_classes: int = 5) -> nn.Module:
    torch.manual_seed(seed)
    built = catalog.model(
        Component(**component), shape=shape_of(component), num_classes=num_classes
    )
    # Initial weights are so small that all positions look alike, and attention is uniform.
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return built.eval()


def shape_of(component: dict[str, object]) -> Shape:
    return IMAGES if component["name"] == "vit" else TEXTS


def batch(shape: Shape, seed: int = 0) -> Batch:
    """Four images, or four texts of the lengths above."""
    generator = torch.Generator().manual_seed(seed)
    num = len(LENGTHS)
    if isinstance(shape, Tokens):
        inputs = torch.randint(1, shape.vocabulary, (num, shape.length), generator=generator)
        inputs[~tokens_of_texts()] = 0
    else:
        inputs = torch.randn(num, *shape, generator=generator)
    return Batch({modality(shape): inputs}, torch.arange(num), torch.arange(num))


def tokens_of_texts() -> Tensor:
    return torch.arange(TEXTS.length) < torch.tensor(LENGTHS)[:, None]


def outputs(model: nn.Module, of: Batch, paths: tuple[str, ...]) -> Outputs:
    with FeatureTap(model, paths) as tap:
        return Outputs(model(of.seen_by(model)), dict(tap.features))


def all_paths(anatomy: Anatomy) -> tuple[str, ...]:
    blocks = [(b.hidden, b.query, b.key, b.value) for b in anatomy.blocks]
    return (anatomy.embedding, *(path for block in blocks for path in block))


def probe(student: nn.Module, teacher: nn.Module | None, of: Batch, shape: Shape) -> Probe:
    seen = [
        None if each is None else outputs(each, of, all_paths(each.anatomy))
        for each in (student, teacher)
    ]
    return Probe(
        seen[0],
        seen[1],
        (),
        (),
        5,
        student_anatomy=student.anatomy,
        teacher_anatomy=None if teacher is None else teacher.anatomy,
        shape=shape,
        teacher_shape=None if teacher is None else shape,
    )


class Distilled:
    """A student, its teacher, and the strategy between them."""

    def __init__(
        self, ours: dict[str, object], theirs: dict[str, object], **settings: object
    ) -> None:
        self.shape = shape_of(ours)
        self.student, self.teacher = network(ours, seed=1), network(theirs, seed=2)
        self.teacher.requires_grad_(False)
        self.batch = batch(self.shape)
        torch.manual_seed(3)
        self.strategy: Strategy = catalog.strategy(
            Component(name="transformer", **settings),
            probe(self.student, self.teacher, self.batch, self.shape),
        )

    def seen(self, of: Batch | None = None) -> Seen:
        of = of or self.batch
        layers = self.strategy.layers
        return Seen(
            of,
            outputs(self.student, of, layers.student),
            outputs(self.teacher, of, layers.teacher),
        )

    def terms(self, of: Batch | None = None) -> dict[str, Tensor]:
        return dict(self.strategy.terms(self.seen(of)))
