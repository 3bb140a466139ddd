"""The review: how levels are joined, how they are sized for any pair, its warm-up and settings."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kdsweep import catalog
from kdsweep.batch import Batch, Outputs
from kdsweep.errors import SpecError
from kdsweep.losses.review import hierarchical_context
from kdsweep.spec import Component
from kdsweep.strategies.base import Layers, Needs, Probe, Seen, Weight
from kdsweep.strategies.parts.fusion import BatchStatistics, Fusion

N = 4
BATCH = Batch({"images": torch.zeros(N, 1, 1, 1)}, torch.zeros(N).long(), torch.arange(N))


def outputs(shapes, seed=0, num=N):
    generator = torch.Generator().manual_seed(seed)
    features = {p: torch.randn(num, *shape, generator=generator) for p, shape in shapes.items()}
    return Outputs(torch.zeros(num, 10), features)


STUDENT = {"a": (3, 8, 8), "b": (4, 4, 4), "v": (5,)}
TEACHER = {"A": (6, 7, 7), "B": (7, 4, 4), "V": (9,)}


def probe(student=STUDENT, teacher=TEACHER, embeddings=("v", "V")):
    """All maps are stages."""
    ours, theirs = (tuple(p for p, s in net.items() if len(s) == 3) for net in (student, teacher))
    ours_at, theirs_at = embeddings
    return Probe(
        outputs(student),
        outputs(teacher, seed=1),
        ours,
        theirs,
        10,
        student_embedding=ours_at,
        teacher_embedding=theirs_at,
    )


def review(known=None, **given_settings):
    torch.manual_seed(0)
    return catalog.strategy(Component(name="reviewkd", **given_settings), known or probe())


def seen_in(known):
    return Seen(BATCH, known.student, known.teacher)


def test_by_default_all_stages_and_the_embeddings_are_reviewed():
    strategy = review()
    assert strategy.layers == Layers(("a", "b", "v"), ("A", "B", "V"))
    assert strategy.needs == Needs(teacher=True, features=True)
    assert strategy.weights() == {"hard": Weight(1.0), "review": Weight(1.0, relative=True)}
    assert review(raw_weight=8).weights()["review"] == Weight(8.0)


def test_the_term_is_the_sum_over_levels_from_the_deepest_up():
    known, strategy = probe(), review()
    ours, theirs = known.student.features, known.teacher.features
    first, second, deepest = strategy.fusions
    restored_v, passed = deepest(ours["v"][:, :, None, None], None)
    restored_b, passed = second(ours["b"], passed)
    restored_a, _ = first(ours["a"], passed)
    expected = (
        hierarchical_context(restored_a, theirs["A"])
        + hierarchical_context(restored_b, theirs["B"])
        + hierarchical_context(restored_v, theirs["V"][:, :, None, None])
    )
    torch.testing.assert_close(strategy.terms(seen_in(known))["review"], expected)


def test_a_level_is_reviewed_with_all_deeper_ones_and_no_other():
    known, strategy = probe(), review()
    restored = {}
    for path, fusion in zip("abv", strategy.fusions, strict=True):
        fusion.register_forward_hook(lambda m, i, out, path=path: restored.update({path: out[0]}))
    for feature in known.student.features.values():
        feature.requires_grad_()
    strategy.terms(seen_in(known))
    for path, reads in {"a": "abv", "b": "bv", "v": "v"}.items():
        gradients = torch.autograd.grad(
            restored[path].square().sum(),
            [known.student.features[other] for other in "abv"],
            allow_unused=True,
            retain_graph=True,
        )
        found = "".join(p for p, g in zip("abv", gradients, strict=True) if g is not None)
        assert found == reads


def test_named_layers_are_joined_in_the_order_of_the_students_forward():
    named = [{"student": "v", "teacher": "V"}, {"student": "b", "teacher": "A"},
             {"student": "a", "teacher": "B"}]  # fmt: skip
    strategy = review(layers=named, embedding=False)
    assert strategy.layers == Layers(("a", "b", "v"), ("B", "A", "V"))
    assert [fusion.attend is None for fusion in strategy.fusions] == [False, False, True]


@pytest.mark.parametrize(("channels", "expected"), [(512, 5), (2, 2)])
def test_fused_maps_have_the_deepest_layers_channels_up_to_a_limit(channels, expected):
    strategy = review(channels=channels)
    assert {fusion.reduce[0].out_channels for fusion in strategy.fusions} == {expected}


def test_without_the_embeddings_networks_need_none():
    strategy = review(probe(embeddings=(None, None)), embedding=False)
    assert strategy.layers == Layers(("a", "b"), ("A", "B"))


def near(one, other):
    """Whether two stages are less than half an octave apart."""
    return all(max(a, b) ** 2 < 2 * min(a, b) ** 2 for a, b in zip(one[1:], other[1:], strict=True))


sides = st.integers(1, 20)
network = st.lists(st.tuples(st.integers(1, 6), sides, sides), min_size=1, max_size=4)


@settings(deadline=None, max_examples=40)
@given(ours=network, theirs=network, widths=st.tuples(st.integers(1, 6), st.integers(1, 6)))
def test_any_two_networks_that_can_be_paired_can_be_reviewed(ours, theirs, widths):
    assume(any(near(one, other) for one in ours for other in theirs))
    student = {f"s{i}": shape for i, shape in enumerate(ours)} | {"v": (widths[0],)}
    teacher = {f"t{i}": shape for i, shape in enumerate(theirs)} | {"V": (widths[1],)}
    known = probe(student, teacher)
    strategy = review(known)
    loss = strategy.terms(seen_in(known))["review"]
    assert loss.shape == (N,)
    assert loss.isfinite().all()
    loss.sum().backward()
    assert all(p.grad.isfinite().all() for p in strategy.parameters())


def test_the_weight_warms_up_as_a_share_of_training():
    factors = [review(warmup=0.25).factors(progress) for progress in (0, 0.125, 0.25, 1)]
    assert factors == [{"review": 0}, {"review": 0.5}, {"review": 1}, {"review": 1}]
    assert review(warmup=0).factors(0) == {"review": 1}


def test_a_network_without_an_embedding_is_told_what_to_set():
    with pytest.raises(
        SpecError, match=r"embedding: true reads .* teacher has no .* set embedding: false"
    ):
        review(probe(embeddings=("v", None)))


def test_attention_weighs_a_level_against_the_deeper_one():
    fusion = Fusion((2, 4, 4), (3, 4, 4), channels=2, deepest=False)
    maps, deeper = torch.randn(N, 2, 4, 4), torch.randn(N, 2, 2, 2)
    own = fusion.reduce(maps)
    # Of one size only after every pixel has become 2x2.
    enlarged = deeper.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    for bias, expected in (([40.0, -40.0], own), ([-40.0, 40.0], enlarged),
                           ([0.0, 0.0], (own + enlarged) / 2)):  # fmt: skip
        with torch.no_grad():
            fusion.attend.weight.zero_()
            fusion.attend.bias.copy_(torch.tensor(bias))
        restored, fused = fusion(maps, deeper)
        torch.testing.assert_close(fused, expected)
        torch.testing.assert_close(restored, fusion.restore(expected))


def test_a_fused_map_is_passed_on_in_the_teachers_size():
    fusion = Fusion((2, 4, 4), (3, 6, 5), channels=2, deepest=True)
    restored, fused = fusion(torch.randn(N, 2, 4, 4), None)
    assert (restored.shape, fused.shape) == ((N, 3, 6, 5), (N, 2, 6, 5))


def test_a_single_value_becomes_the_bias():
    norm = BatchStatistics(3)
    with torch.no_grad():
        norm.bias.copy_(torch.tensor([1.0, -2.0, 0.5]))
    maps = torch.randn(1, 3, 1, 1, requires_grad=True)
    out = norm.eval()(maps)
    torch.testing.assert_close(out.flatten(), norm.bias)
    out.square().sum().backward()
    assert torch.equal(maps.grad, torch.zeros(1, 3, 1, 1))
    torch.testing.assert_close(norm.bias.grad, 2 * norm.bias.detach())
    many = torch.randn(5, 3, 2, 2)
    torch.testing.assert_close(
        norm(many), torch.nn.BatchNorm2d(3).train()(many) + norm.bias[:, None, None]
    )


def test_one_example_is_reviewed():
    known = probe()
    one = Batch({}, BATCH.labels[:1], BATCH.ids[:1])
    seen = Seen(one, outputs(STUDENT, num=1), outputs(TEACHER, num=1))
    assert review(known).terms(seen)["review"].isfinite().all()
