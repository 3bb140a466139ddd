import gc
import weakref

import pytest
import torch
from torch import nn

from kdsweep import catalog
from kdsweep.errors import SpecError
from kdsweep.models.features import FeatureTap
from kdsweep.spec import Component


class Reused(nn.Module):
    """Calls one module twice, one never, and one that gives a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Linear(3, 3)
        self.other_name = self.shared
        self.unused = nn.Linear(3, 3)
        self.recurrent = nn.GRU(3, 3)

    def forward(self, rows):
        return self.recurrent(self.shared(self.shared(rows)))[0]


def cnn() -> nn.Module:
    return catalog.model(Component(name="cnn", width=2), shape=(1, 8, 8), num_classes=3)


def hooks_of(network: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in network.modules())


def test_gives_what_the_modules_gave_in_the_order_asked_for():
    network, images = cnn(), torch.randn(4, 1, 8, 8)
    logits, first = network(images), network.stages[0](images)
    with FeatureTap(network, ["classifier.1", "stages.0", "classifier.1"]) as tap:
        assert torch.equal(network(images), logits)
        features = tap.features
    assert list(features) == ["classifier.1", "stages.0"]
    assert torch.equal(features["stages.0"], first)
    assert features["classifier.1"].shape == (4, 16)


def test_features_carry_gradients():
    network = cnn()
    with FeatureTap(network, ["stages.1"]) as tap:
        network(torch.randn(2, 1, 8, 8))
        tap.features["stages.1"].sum().backward()
    assert network.stages[0][0].weight.grad.abs().sum() > 0
    assert network.classifier[1].weight.grad is None


def test_every_forward_replaces_the_one_before():
    network = cnn()
    tap = FeatureTap(network, ["stages.0"])
    network(torch.zeros(1, 1, 8, 8))
    images = torch.randn(5, 1, 8, 8)
    network(images)
    assert torch.equal(tap.features["stages.0"], network.stages[0](images))
    tap.detach()


def test_nothing_is_kept_between_batches_nor_after_detaching():
    network = cnn()
    tap = FeatureTap(network, ["stages.0"])
    network(torch.randn(2, 1, 8, 8))
    old = weakref.ref(tap.features["stages.0"])
    network(torch.randn(2, 1, 8, 8))
    gc.collect()
    assert old() is None
    last = weakref.ref(tap.features["stages.0"])
    tap.detach()
    tap.detach()
    gc.collect()
    assert last() is None
    assert hooks_of(network) == 0


def test_an_error_inside_leaves_no_hooks():
    network = cnn()
    tap = FeatureTap(network, ["pool"])
    assert hooks_of(network) == 2
    with pytest.raises(RuntimeError), tap:
        network(torch.randn(2, 3, 8, 8))
    assert hooks_of(network) == 0


def test_no_paths_cost_nothing():
    network = cnn()
    tap = FeatureTap(network, [])
    assert hooks_of(network) == 0
    assert tap.features == {}


def test_the_last_of_several_calls_counts_under_any_name():
    network, rows = Reused(), torch.randn(2, 3)
    with FeatureTap(network, ["shared", "other_name"]) as tap:
        network(rows)
        features = tap.features
    twice = network.shared(network.shared(rows))
    assert torch.equal(features["shared"], twice)
    assert torch.equal(features["other_name"], twice)


def test_unknown_paths_are_reported_together():
    with pytest.raises(SpecError) as caught:
        FeatureTap(cnn(), ["stages.3", "clasifier", "pool.0", "pool"])
    assert caught.value.problems == (
        "no module at 'stages.3' in Cnn; did you mean 'stages.2'? "
        "(have in 'stages': stages.0, stages.1, stages.2)",
        "no module at 'clasifier' in Cnn; did you mean 'classifier'? "
        "(have: stages, pool, classifier)",
        "no module at 'pool.0' in Cnn; did you mean 'pool'? ('pool' has no modules inside)",
    )


def test_the_network_itself_is_not_a_feature():
    with pytest.raises(SpecError, match="no module at ''"):
        FeatureTap(cnn(), [""])


def test_a_module_that_was_not_called():
    network = Reused()
    with FeatureTap(network, ["shared", "unused"]) as tap:
        network(torch.randn(2, 3))
        with pytest.raises(SpecError) as caught:
            _ = tap.features
    assert str(caught.value) == (
        "no features at 'unused': the network's last forward did not call this module; "
        "name one that it calls"
    )


def test_a_module_that_gives_no_tensor():
    network = Reused()
    with FeatureTap(network, ["recurrent"]), pytest.raises(SpecError) as caught:
        network(torch.randn(2, 3))
    assert str(caught.value) == (
        "no features at 'recurrent': GRU gives a tuple, not a tensor; name a module inside it"
    )
