"""Variational information as a strategy: its Gaussians, what of them is learnt, its settings."""

import pytest
import torch

from kdsweep import catalog
from kdsweep.batch import Batch, Outputs
from kdsweep.errors import SpecError
from kdsweep.losses.variational import variance, variational_information
from kdsweep.spec import Component
from kdsweep.strategies.base import Layers, Needs, Probe, Seen, Weight

BATCH = Batch({"images": torch.zeros(2, 1, 1, 1)}, torch.zeros(2).long(), torch.arange(2))


def maps(*shape, seed=0):
    return torch.randn(2, *shape, generator=torch.Generator().manual_seed(seed))


STUDENT = Outputs(torch.zeros(2, 10), {"a": maps(3, 8, 8), "b": maps(4, 4, 4), "v": maps(5)})
TEACHER = Outputs(
    torch.zeros(2, 10),
    {"A": maps(6, 8, 8, seed=1), "B": maps(7, 4, 4, seed=1), "V": maps(8, seed=1)},
)
PROBE = Probe(STUDENT, TEACHER, ("a", "b"), ("A", "B"), 10)
SEEN = Seen(BATCH, STUDENT, TEACHER)


def vid(**settings):
    torch.manual_seed(0)
    return catalog.strategy(Component(name="vid", **settings), PROBE)


def term(strategy):
    return strategy.terms(SEEN)["information"]


def test_by_default_all_stages_are_summed():
    strategy = vid()
    assert strategy.layers == Layers(("a", "b"), ("A", "B"))
    assert strategy.needs == Needs(teacher=True, features=True)
    assert strategy.weights() == {"hard": Weight(1.0), "information": Weight(1.0, relative=True)}
    expected = sum(
        variational_information(g.mean(STUDENT.features[p]), g.scale, TEACHER.features[p.upper()])
        for p, g in zip("ab", strategy.gaussians, strict=True)
    )
    torch.testing.assert_close(term(strategy), expected)


@pytest.mark.parametrize(
    ("pair", "channels"), [(("a", "A"), (3, 6)), (("v", "V"), (5, 8))], ids=["maps", "vectors"]
)
def test_a_gaussian_is_three_layers_and_a_variance_for_each_channel(pair, channels):
    strategy = vid(layers=[{"student": pair[0], "teacher": pair[1]}], initial_variance=2.5)
    (gaussian,) = strategy.gaussians
    ours, theirs = channels
    sizes = [p.numel() for p in gaussian.mean.parameters()]
    assert sizes == [ours * theirs, theirs * theirs, theirs * theirs]
    torch.testing.assert_close(variance(gaussian.scale), torch.full((theirs,), 2.5))
    assert term(strategy).shape == (2,)


def test_the_variances_are_learnt_with_the_means():
    # Libraries forget to give the variances to the optimizer: they must be the strategy's own.
    strategy = vid()
    scales = [gaussian.scale for gaussian in strategy.gaussians]
    assert {id(scale) for scale in scales} <= {id(p) for p in strategy.parameters()}
    optimizer = torch.optim.Adam(strategy.parameters(), lr=0.05)
    first, before = term(strategy).sum().item(), [scale.detach().clone() for scale in scales]
    for _ in range(100):
        loss = term(strategy).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < first / 2
    # The teacher's features have a variance of about one, and 5 was far too much.
    assert all((after < start).all() for after, start in zip(scales, before, strict=True))


def test_variances_are_in_the_checkpoint():
    saved, loaded = vid(initial_variance=3), vid()
    loaded.load_state_dict(saved.state_dict())
    assert torch.equal(term(loaded), term(saved))
    assert "gaussians.0.scale" in saved.state_dict()


@pytest.mark.parametrize(("student", "teacher"), [("a", "B"), ("b", "A")])
def test_the_larger_map_is_averaged_to_the_smaller(student, teacher):
    strategy = vid(layers=[{"student": student, "teacher": teacher}])
    ours, theirs = (
        features if features.shape[-1] == 4 else torch.nn.functional.avg_pool2d(features, 2)
        for features in (STUDENT.features[student], TEACHER.features[teacher])
    )
    (gaussian,) = strategy.gaussians
    expected = variational_information(gaussian.mean(ours), gaussian.scale, theirs)
    torch.testing.assert_close(term(strategy), expected)


def test_raw_weight():
    assert vid(raw_weight=1).weights()["information"] == Weight(1.0)


@pytest.mark.parametrize("wrong", [0, -1, 1e5])
def test_variances_out_of_bounds_are_refused(wrong):
    with pytest.raises(SpecError, match=r"strategy\.initial_variance"):
        catalog.params("strategy", Component(name="vid", initial_variance=wrong), at="strategy")
