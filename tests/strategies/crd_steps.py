"""Strategies of few examples, and steps of training that they see."""

import torch

from kdsweep import catalog
from kdsweep.batch import Batch, Outputs
from kdsweep.spec import Component
from kdsweep.strategies.base import Probe, Seen

NUM_SAMPLES = 7
ALL = {"dimension": 4, "negatives": NUM_SAMPLES, "negatives_are": "others"}


def normal(*shape, seed):
    """Standard normal numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def outputs(num_examples, width, seed=0):
    """What a network gives, with an embedding at ``e``."""
    return Outputs(torch.zeros(num_examples, 3), {"e": normal(num_examples, width, seed=seed)})


def probe(num_samples=NUM_SAMPLES, **changes):
    """Two networks with embeddings of 5 and of 6 numbers."""
    networks = {"student": outputs(2, 5), "teacher": outputs(2, 6)}
    embeddings = {"student_embedding": "e", "teacher_embedding": "e"}
    stages = {"student_stages": (), "teacher_stages": ()}
    everything = networks | embeddings | stages | {"num_classes": 3, "num_samples": num_samples}
    return Probe(**everything | changes)


def crd(num_samples=NUM_SAMPLES, **settings):
    """The strategy, drawn alike each time."""
    torch.manual_seed(0)
    return catalog.strategy(Component(name="crd", **settings), probe(num_samples))


def seen(ids, labels=None, seed=1, **others):
    """A step with these examples."""
    ids = torch.as_tensor(ids)
    labels = torch.zeros_like(ids) if labels is None else torch.tensor(labels)
    batch = Batch({"images": torch.zeros(len(ids), 1, 1, 1)}, labels, ids)
    ours, theirs = outputs(len(ids), 5, seed=seed), outputs(len(ids), 6, seed=seed + 100)
    return Seen(batch, ours, theirs, **others)


def contrast(strategy, step):
    """The term."""
    return strategy.terms(step)["contrast"]
