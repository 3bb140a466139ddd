"""What every strategy in the folder keeps to, on networks of the catalog and real digits."""

import copy
import io
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from kdsweep import catalog
from kdsweep.batch import Batch, Outputs
from kdsweep.models.features import FeatureTap, stages
from kdsweep.spec import Component
from kdsweep.strategies.base import Probe, Strategy
from kdsweep.train.objective import Objective

STEPS = 60
CNN = {"name": "cnn", "stages": 2}
PAIRS = {
    "cnn from a wider cnn": ({**CNN, "width": 4}, {**CNN, "width": 12}),
    "resnet from a resnet": (
        {"name": "resnet", "depth": 8, "width": 4},
        {"name": "resnet", "depth": 8, "width": 12},
    ),
    "cnn from a resnet": (
        {**CNN, "width": 4, "batch_norm": True},
        {"name": "resnet", "depth": 8, "width": 8},
    ),
}


def network(component: dict[str, object], seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return catalog.model(Component(**component), shape=(1, 8, 8), num_classes=10)


def digits(num_examples: int = 32) -> Batch:
    images, labels = load_digits(return_X_y=True)
    shown = torch.tensor(images[:num_examples], dtype=torch.float32).reshape(-1, 1, 8, 8)
    return Batch(shown / 8 - 1, torch.tensor(labels[:num_examples]), torch.arange(num_examples))


def outputs(model: nn.Module, batch: Batch, paths: tuple[str, ...]) -> Outputs:
    with FeatureTap(model, paths) as tap:
        return Outputs(model(batch.images), dict(tap.features))


@dataclass
class Distillation:
    """A student, a teacher that could learn if anything let it, and the objective of a strategy."""

    student: nn.Module
    teacher: nn.Module
    objective: Objective
    batch: Batch

    @property
    def strategy(self) -> Strategy:
        found = self.objective.strategies[-1]
        assert isinstance(found, Strategy)
        return found

    def outputs(self, batch: Batch | None = None) -> tuple[Batch, Outputs, Outputs]:
        batch = batch or self.batch
        layers = self.objective.layers
        theirs = outputs(self.teacher, batch, layers.teacher)
        return batch, outputs(self.student, batch, layers.student), theirs

    def totals(self) -> Tensor:
        return self.objective(*self.outputs())[0]

    def train(self, steps: int) -> list[float]:
        learned = [*self.student.parameters(), *self.objective.parameters()]
        optimizer = torch.optim.Adam(learned, lr=3e-3)
        losses = []
        for _ in range(steps):
            loss = self.totals().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses


@pytest.fixture(scope="module", params=PAIRS)
def networks(request: pytest.FixtureRequest) -> tuple[dict[str, object], nn.Module]:
    """The student's settings, and a teacher that knows the batch a little."""
    student, of_teacher = PAIRS[request.param]
    teacher, batch = network(of_teacher, seed=1), digits()
    optimizer = torch.optim.Adam(teacher.parameters(), lr=3e-3)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(teacher(batch.images), batch.labels).backward()
        optimizer.step()
    teacher.zero_grad()
    return student, teacher.eval()


@pytest.fixture
def distil(networks: tuple[dict[str, object], nn.Module]) -> Callable[[Component], Distillation]:
    """Makes the same distillation each time it is asked for the same strategy."""

    def make(strategy: Component) -> Distillation:
        settings, teacher = networks[0], copy.deepcopy(networks[1])
        student, batch = network(settings, seed=2), digits()
        ours, theirs = stages(student, batch.images), stages(teacher, batch.images)
        few = digits(2)
        with torch.no_grad():
            probe = Probe(
                outputs(student.eval(), few, ours), outputs(teacher, few, theirs), ours, theirs, 10
            )
        made = Distillation(student.train(), teacher, Objective(strategy, probe), batch)
        made.objective.calibrate([made.outputs()])
        return made

    return make


NAMES = catalog.names("strategy")
every_strategy = pytest.mark.parametrize("name", NAMES)


def test_the_strategies_of_the_first_release_are_all_found():
    assert {"none", "kd", "fitnet", "attention_transfer"} <= set(NAMES)


@every_strategy
def test_it_says_what_it_is_and_where_it_is_from(name):
    cls = catalog.find("strategy", name)
    for part in (cls, cls.Params):
        assert len(vars(part)["__doc__"].strip()) > 10
    assert cls.source
    assert isinstance(catalog.params("strategy", Component(name=name)), cls.Params)


@every_strategy
def test_terms_are_finite_and_one_for_each_example(name, distil):
    made = distil(Component(name=name))
    made.student.eval()
    for num_examples in (1, 5):
        seen = made.outputs(digits(num_examples))
        terms = made.strategy.terms(*seen)
        assert set(terms) == set(made.strategy.weights()) - {"hard"}
        assert "total" not in terms
        for term in (*terms.values(), made.objective(*seen)[0]):
            assert term.shape == (num_examples,)
            assert term.dtype == torch.float32
            assert term.isfinite().all()


@every_strategy
def test_every_term_teaches_the_student(name, distil):
    made = distil(Component(name=name))
    parameters = list(made.student.parameters())
    for term in made.strategy.terms(*made.outputs()).values():
        gradients = torch.autograd.grad(
            term.sum(), parameters, retain_graph=True, allow_unused=True
        )
        found = [gradient for gradient in gradients if gradient is not None]
        assert any(gradient.abs().sum() > 0 for gradient in found)


@every_strategy
def test_gradients_reach_all_that_is_learned_and_never_the_teacher(name, distil):
    made = distil(Component(name=name))
    made.totals().mean().backward()
    for parameter in (*made.student.parameters(), *made.objective.parameters()):
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
    for module in made.objective.modules():
        own = [parameter.grad.abs().sum() for parameter in module.parameters(recurse=False)]
        assert not own or sum(own) > 0
    assert all(parameter.requires_grad for parameter in made.teacher.parameters())
    assert all(parameter.grad is None for parameter in made.teacher.parameters())


@every_strategy
def test_training_lowers_the_loss_and_leaves_the_teacher_alone(name, distil):
    made = distil(Component(name=name))
    before = {key: value.clone() for key, value in made.teacher.state_dict().items()}
    names_before = list(made.student.state_dict())
    losses = made.train(STEPS)
    # The batch is the same at every step: a learner that stood still would end where it began.
    assert losses[-1] < 0.8 * losses[0]
    after = made.teacher.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert list(made.student.state_dict()) == names_before


@pytest.mark.parametrize("networks", ["cnn from a wider cnn"], indirect=True)
@every_strategy
def test_as_an_extra_it_adds_its_own_terms(name, distil):
    main = "kd" if name == "none" else "none"
    made, alone = distil(Component(name=main, extra={name: {}})), distil(Component(name=main))
    weights, without = made.objective.raw_weights(), alone.objective.raw_weights()
    assert {key: weights[key] for key in without} == without
    assert set(weights) - set(without) == set(made.strategy.weights()) - {"hard"}
    losses = made.train(STEPS)
    assert losses[-1] < 0.8 * losses[0]


@every_strategy
def test_state_survives_a_round_trip(name, distil):
    trained = distil(Component(name=name))
    trained.train(3)
    file = io.BytesIO()
    parts = (trained.student, trained.objective)
    torch.save([part.state_dict() for part in parts], file)
    file.seek(0)
    loaded = distil(Component(name=name))
    student, objective = torch.load(file, weights_only=True)
    loaded.student.load_state_dict(student)
    loaded.objective.load_state_dict(objective)
    assert loaded.objective.raw_weights() == trained.objective.raw_weights()
    assert torch.equal(loaded.totals(), trained.totals())


@every_strategy
def test_the_same_start_gives_the_same_training(name, distil):
    assert distil(Component(name=name)).train(3) == distil(Component(name=name)).train(3)
