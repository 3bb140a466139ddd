"""The text network against NumPy, and that padding is nothing to it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdsweep import catalog
from kdsweep.batch import Tokens
from kdsweep.errors import SpecError
from kdsweep.models.embedding import embedding
from kdsweep.models.features import FeatureTap
from kdsweep.models.size import count_params, sizes
from kdsweep.spec import Component

SHAPE = Tokens(length=12, vocabulary=30)


def text_cnn(shape=SHAPE, num_classes=5, **settings):
    torch.manual_seed(0)
    component = Component(name="text_cnn", **{"width": 6, "filters": 4, **settings})
    return catalog.model(component, shape=shape, num_classes=num_classes).eval()


def texts(*words, length=12):
    """Texts padded at the end."""
    return torch.tensor([[*each, *[0] * (length - len(each))] for each in words])


def test_the_papers_size():
    # 1,000 words of 300; windows of 3, 4 and 5 words with 100 filters each; 300 -> 2.
    network = text_cnn(Tokens(56, 1000), 2, width=300, filters=100)
    windows = sum(300 * kernel * 100 + 100 for kernel in (3, 4, 5))
    assert count_params(network) == 1000 * 300 + windows + 300 * 2 + 2


@pytest.mark.parametrize("kernels", [[1], [2, 5], [3, 4, 5]])
def test_against_numpy(kernels):
    network = text_cnn(kernels=kernels)
    words = [7, 3, 29, 1, 3, 8]
    state = {name: value.double().numpy() for name, value in network.state_dict().items()}
    embedded = state["embedding.weight"][words]
    pooled = []
    for number, kernel in enumerate(kernels):
        weight, bias = (state[f"windows.{number}.conv.{part}"] for part in ("weight", "bias"))
        before = (kernel - 1) // 2
        around = np.concatenate(
            [np.zeros((before, 6)), embedded, np.zeros((kernel - 1 - before, 6))]
        )
        found = [
            np.einsum("odk,kd->o", weight, around[start : start + kernel]) + bias
            for start in range(len(words))
        ]
        pooled.append(np.maximum(found, 0).max(axis=0))
    expected = state["classifier.weight"] @ np.concatenate(pooled) + state["classifier.bias"]
    with torch.no_grad():
        got = network(texts(words))[0]
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-4, atol=1e-5)


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 29), max_size=12),
    st.integers(0, 8),
    st.sampled_from([(1,), (2,), (3, 4, 5), (7, 12)]),
)
def test_how_much_padding_follows_changes_nothing(words, more, kernels):
    network = text_cnn(kernels=kernels)
    with torch.no_grad():
        # Weights of an own file may have put anything at the padding.
        network.embedding.weight[0] = 100
        bare = network(texts(words or [0], length=max(len(words), 1)))
        padded = network(texts(words, length=len(words) + more + 1))
    torch.testing.assert_close(bare, padded)


def test_an_empty_text_is_read_as_nothing():
    network = text_cnn()
    with torch.no_grad():
        got = network(torch.zeros(2, 12, dtype=torch.int64))
    torch.testing.assert_close(got, network.classifier.bias.detach().expand(2, 5))


def test_words_far_apart_are_the_same_anywhere_in_the_text():
    network = text_cnn(kernels=[3])
    with torch.no_grad():
        first = network(texts([9, 9, 4, 5, 6, 9, 9]))
        later = network(texts([9, 9, 9, 4, 5, 6, 9, 9]))
    torch.testing.assert_close(first, later)
    with torch.no_grad():
        assert not torch.allclose(first, network(texts([9, 9, 6, 5, 4, 9, 9])))


def test_dropout_is_before_the_last_layer_and_only_in_training():
    network = text_cnn(dropout=0.9)
    words = texts([1, 2, 3, 4])
    with torch.no_grad():
        assert torch.equal(network(words), network(words))
        assert not torch.equal(network.train()(words), network(words))


def test_what_strategies_read():
    network = text_cnn(kernels=[2, 3], dropout=0.5)
    words = texts([1, 2, 3], [4])
    assert embedding(network, words) == "classifier:input"
    with FeatureTap(network, ["windows.0", "windows.1", "pooled"]) as tap:
        network(words)
        shapes = [tuple(features.shape) for features in tap.features.values()]
    assert shapes == [(2, 12, 4), (2, 12, 4), (2, 8)]


def test_every_parameter_gets_a_gradient():
    network = text_cnn().train()
    words = texts(*([word, word % 7 + 1, 3] for word in range(1, 30)))
    loss = torch.nn.functional.cross_entropy(network(words), torch.arange(29) % 5)
    loss.backward()
    for path, parameter in network.named_parameters():
        assert parameter.grad.isfinite().all(), path
        assert parameter.grad.count_nonzero() > 0, path
    assert not network.embedding.weight.grad[0].any()


def test_is_measured_on_meta_and_on_the_cpu():
    found = sizes(lambda: text_cnn(), SHAPE, num_classes=5)
    # 12 tokens, each in 4 filters of 3, 4 and 5 tokens of 6 numbers; then 12 -> 5.
    assert found["macs"] == 12 * 4 * 6 * (3 + 4 + 5) + 12 * 5
    with torch.device("meta"):
        assert all(parameter.is_meta for parameter in text_cnn().parameters())


@pytest.mark.parametrize(
    ("kernels", "message"),
    [
        ([], "must be one width or more, each once"),
        ([3, 3], "must be one width or more, each once"),
        ([0, 3], "each width must be 1 to 512 tokens"),
        ([513], "each width must be 1 to 512 tokens"),
    ],
)
def test_windows_refused(kernels, message):
    with pytest.raises(SpecError, match=f"kernels: .*{message}"):
        text_cnn(kernels=kernels)


def test_images_are_refused():
    with pytest.raises(SpecError, match="text_cnn takes tokens, and the data set has images of"):
        text_cnn((1, 8, 8))
