"""What every strategy in the folder keeps to, on networks and data of the catalog."""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pytest
import torch
from conforming import (
    EXAMPLES,
    LONGER,
    MAPS,
    PAIRS,
    SETTINGS,
    STEPS,
    Distillation,
    Pair,
    assert_all_is_reached,
    distillation,
    first_batch,
    splits_of,
    teachers_of,
)
from torch import nn

from kdsweep import catalog
from kdsweep.errors import SpecError
from kdsweep.spec import Component
from kdsweep.strategies.base import Strategy

NAMES = catalog.names("strategy")
every_strategy = pytest.mark.parametrize("name", NAMES)
FEW_STEPS = 3
ONLY_OTHERS_LEARN = {
    "online": {"peers"},
    "data_free": {"one_hot", "balance", "activation", "statistics", "adversarial"},
}
"""Terms that teach what learns beside the student, and not the student."""
PATCHES = "embeddings.patches"
"""Of a vit, the only module that gives a map."""


@pytest.fixture(scope="module", params=PAIRS)
def networks(request: pytest.FixtureRequest) -> tuple[Pair, dict[str, nn.Module]]:
    """Data and student, and teachers that know the data a little."""
    pair = PAIRS[request.param]
    return pair, teachers_of(pair)


@pytest.fixture(scope="module")
def distil(networks: tuple[Pair, dict[str, nn.Module]]) -> Callable[..., Distillation]:
    """Makes the same distillation each time it is asked for the same strategy."""

    def make(name: str, **settings: object) -> Distillation:
        pair, teachers = networks
        if name in pair.without or set(settings.get("extra") or {}) & pair.without:
            pytest.skip("refused for these networks: another test sees to that")
        component = Component(name=name, **{**SETTINGS.get(name, {}), **settings})
        return distillation(pair, teachers, component)

    return make


@pytest.fixture(scope="module")
def untrained(distil: Callable[..., Distillation]) -> Callable[[str], Distillation]:
    """A distillation that no test trains, made once for those that look at its terms."""
    return cache(distil)


@pytest.fixture(scope="module")
def trained(distil: Callable[..., Distillation]) -> Callable[[str], "Trained"]:
    """A distillation after its first steps, made once for all tests of a strategy."""

    @cache
    def make(name: str) -> Trained:
        made = distil(name)
        losses = made.train(FEW_STEPS)
        file = io.BytesIO()
        torch.save(made.step.state_dict(), file)
        return Trained(made, losses, file.getvalue())

    return make


@dataclass(frozen=True)
class Trained:
    """A distillation with the losses of its first steps, and what a checkpoint has of it."""

    made: Distillation
    losses: list[float]
    saved: bytes


def test_the_strategies_of_both_documents_are_all_found():
    assert {
        "none", "kd", "dkd", "dist", "fitnet", "attention_transfer", "similarity", "rkd", "pkt",
        "vid", "nst", "reviewkd", "crd", "transformer", "self_distillation", "online",
        "data_free", "multi_teacher", "cross_modal", "function_matching",
    } <= set(NAMES)  # fmt: skip


@every_strategy
def test_it_says_what_it_is_and_where_it_is_from(name):
    cls = catalog.find("strategy", name)
    for part in (cls, cls.Params):
        assert len(vars(part)["__doc__"].strip()) > 10
    assert cls.source
    papers = re.findall(r"arXiv:\d{4}\.\d{4,5}", cls.source)
    assert papers or name == "none"
    assert all(paper in vars(cls)["__doc__"] for paper in papers)
    assert isinstance(catalog.params("strategy", Component(name=name)), cls.Params)


@every_strategy
def test_networks_that_it_cannot_read_are_refused_in_words(name, networks):
    pair, teachers = networks
    if name not in pair.without:
        pytest.skip("can be used with these networks")
    with pytest.raises(SpecError, match=r"^strategy[.:].{20}"):
        distillation(pair, teachers, Component(name=name, **SETTINGS.get(name, {})))


@every_strategy
def test_terms_are_finite_and_one_for_each_example(name, untrained, networks):
    made = untrained(name)
    made.student.eval()
    batches = (
        (1, 5) if isinstance(made.batch, int) else [first_batch(networks[0], n) for n in (1, 5)]
    )
    for batch in batches:
        num_examples = batch if isinstance(batch, int) else len(batch)
        seen = made.seen(batch)
        terms = made.strategy.terms(seen)
        assert set(terms) == set(made.strategy.weights()) - {"hard"}
        assert "total" not in terms
        for term in (*terms.values(), made.objective(seen)[0]):
            assert term.shape == (num_examples,)
            assert term.dtype == torch.float32
            assert term.isfinite().all()


@every_strategy
def test_every_term_teaches_the_student(name, untrained):
    made = untrained(name)
    made.student.train()
    parameters = list(made.student.parameters())
    for term, values in made.strategy.terms(made.seen()).items():
        if term in ONLY_OTHERS_LEARN.get(name, ()):
            continue
        gradients = torch.autograd.grad(
            values.sum(), parameters, retain_graph=True, allow_unused=True
        )
        found = [gradient for gradient in gradients if gradient is not None]
        assert any(gradient.abs().sum() > 0 for gradient in found), term


@every_strategy
def test_gradients_reach_all_that_is_learned_and_never_the_teacher(name, distil):
    made = distil(name)
    assert_all_is_reached(made)
    for teacher in made.teachers.values():
        assert not any(module.training for module in teacher.modules())
        assert all(parameter.grad is None for parameter in teacher.parameters())


@every_strategy
def test_training_lowers_the_loss_and_leaves_the_teachers_alone(name, distil):
    made = distil(name)
    before = {
        (who, key): value.clone()
        for who, teacher in made.teachers.items()
        for key, value in teacher.state_dict().items()
    }
    names_before = list(made.student.state_dict())
    losses = made.train(LONGER.get(name, (EXAMPLES, STEPS))[1])
    # The batch is the same at every step: a learner that stood still would end where it began.
    assert sum(losses[-5:]) < 0.8 * 5 * losses[0]
    for (who, key), value in before.items():
        assert torch.equal(made.teachers[who].state_dict()[key], value)
    assert list(made.student.state_dict()) == names_before


@every_strategy
def test_what_is_kept_of_a_student_is_the_student_alone(name, trained, networks):
    made = trained(name).made
    torch.manual_seed(0)
    plain = catalog.model_for(Component(**networks[0].student), splits_of(networks[0]).info)
    assert list(made.student.state_dict()) == list(plain.state_dict())
    held = {id(p) for p in made.student.parameters()}
    assert not held & {id(p) for p in made.objective.parameters()}


@pytest.mark.parametrize("networks", ["vit from a vit"], indirect=True)
@pytest.mark.parametrize("name", sorted(MAPS | {"fitnet"}))
def test_of_a_vit_they_compare_the_map_of_the_patches_alone(name, distil):
    made = distil(name)
    assert made.strategy.layers.student[0] == made.strategy.layers.teacher[0] == PATCHES
    sum(term.sum() for term in made.strategy.terms(made.seen()).values()).backward()
    reached = {path for path, p in made.student.named_parameters() if p.grad is not None}
    patches = {f"{PATCHES}.weight", f"{PATCHES}.bias"}
    # The deepest level of reviewkd is the embedding, behind all blocks.
    assert reached > patches if name == "reviewkd" else reached == patches


@pytest.mark.parametrize("networks", ["cnn from a wider cnn"], indirect=True)
@every_strategy
def test_as_an_extra_it_adds_its_own_terms(name, distil):
    cls = catalog.find("strategy", name)
    main = "kd" if name == "none" else "none"
    settings = SETTINGS.get(name, {})
    if not cls.needs.data or cls.changed is not Strategy.changed:
        with pytest.raises(SpecError, match=rf"^strategy\.extra\.{name}: decides what both"):
            distil(main, extra={name: settings})
        return
    made, alone = distil(main, extra={name: settings}), distil(main)
    weights, without = made.objective.raw_weights(), alone.objective.raw_weights()
    assert {key: weights[key] for key in without} == without
    assert set(weights) - set(without) == set(made.strategy.weights()) - {"hard"}
    losses = made.train(STEPS)
    assert sum(losses[-5:]) < 0.8 * 5 * losses[0]


@every_strategy
def test_state_survives_a_round_trip(name, distil, trained):
    before, loaded = trained(name), distil(name)
    loaded.step.load_state_dict(torch.load(io.BytesIO(before.saved), weights_only=True))
    assert loaded.objective.raw_weights() == before.made.objective.raw_weights()
    found = []
    for made in (loaded, before.made):
        torch.manual_seed(5)
        found.append(made.totals())
    assert torch.equal(*found)


@every_strategy
def test_the_same_start_gives_the_same_training(name, distil, trained):
    assert distil(name).train(FEW_STEPS) == trained(name).losses


@every_strategy
def test_without_gradients_nothing_is_learned(name, distil):
    made = distil(name)
    before = {key: value.clone() for key, value in made.objective.state_dict().items()}
    made.step.calibrate([made.batch])
    found = made.objective.state_dict()
    del found["raw"]  # measured anew, with other negatives where they are drawn
    for key, value in found.items():
        # What is not yet known is NaN, before and after.
        torch.testing.assert_close(value, before[key], rtol=0, atol=0, equal_nan=True, msg=key)
