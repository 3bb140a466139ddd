"""The composite: weights measured and kept, names of terms, extras, and what it refuses."""

import math

import pytest
import torch
from torch import Tensor, nn

from kdsweep.batch import Batch, Outputs
from kdsweep.errors import SpecError, TrialError
from kdsweep.losses.logits import hard_labels, soft_targets
from kdsweep.spec import Component
from kdsweep.strategies.base import Needs, Probe, Seen, Strategy, Weight
from kdsweep.train.needs import needs_of
from kdsweep.train.objective import Objective

HERE = __name__


def maps(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


LABELS = torch.tensor([0, 2, 1, 1])
BATCH = Batch({"images": torch.zeros(4, 1, 1, 1)}, LABELS, torch.arange(4))
STUDENT = Outputs(maps(4, 3), {"a": maps(4, 2, 4, 4)})
TEACHER = Outputs(maps(4, 3, seed=1), {"A": maps(4, 5, 4, 4, seed=1)})
PROBE = Probe(STUDENT, TEACHER, ("a",), ("A",), 3)
SEEN = [Seen(BATCH, STUDENT, TEACHER)]


def objective(name, probe=PROBE, label_smoothing=0.0, **settings):
    torch.manual_seed(0)
    return Objective(Component(name=name, **settings), probe, label_smoothing=label_smoothing)


class Doubled(Strategy):
    """A user's strategy whose terms are multiples of two of each example's first logit."""

    needs = Needs(teacher=False)
    source = "a test"

    def weights(self):
        return {"hard": Weight(1.0), "hint": Weight(0.5, relative=True)}

    def terms(self, seen):
        return {"hint": 2 * seen.student.logits[:, 0]}


class Undeclared(Doubled):
    """Gives a term without a weight."""

    def terms(self, seen):
        return {"hint": seen.student.logits[:, 0], "other": seen.student.logits[:, 0]}


class Averaged(Doubled):
    """Gives one number for the whole batch."""

    def terms(self, seen):
        return {"hint": seen.student.logits.mean()}


def test_total_is_the_weighted_sum_of_the_terms_given_out():
    made = objective("kd", extra={"fitnet": {"weight": 0.5}, "attention_transfer": {}})
    made.calibrate(SEEN)
    total, terms = made(*SEEN)
    assert list(terms) == list(made.raw_weights()) == ["hard", "soft", "hint", "attention"]
    assert not any(term.requires_grad for term in terms.values())
    expected = sum(weight * terms[name] for name, weight in made.raw_weights().items())
    torch.testing.assert_close(total.detach(), expected)
    torch.testing.assert_close(terms["hard"], hard_labels(STUDENT.logits, LABELS))
    torch.testing.assert_close(terms["soft"], soft_targets(STUDENT.logits, TEACHER.logits, 4.0))


def test_relative_weights_are_u_times_ce_over_the_loss():
    # Two batches of one and three examples: the means are over the four examples.
    logits = torch.tensor([[1.0, 0.0], [3.0, 0.0], [3.0, 0.0], [5.0, 0.0]])
    made = objective(f"{HERE}:Doubled", Probe(Outputs(logits), None, (), (), 2))
    made.calibrate(
        Seen(
            Batch({"images": BATCH.images[part]}, torch.zeros(len(logits[part])).long(),
                  BATCH.ids[part]),
            Outputs(logits[part]),
        )
        for part in (slice(0, 1), slice(1, 4))
    )  # fmt: skip
    # The term's mean is 2 * (1 + 3 + 3 + 5) / 4 = 6; CE of a margin m is ln(1 + e^-m).
    hard = sum(math.log(1 + math.exp(-margin)) for margin in (1, 3, 3, 5)) / 4
    assert made.raw_weights() == pytest.approx({"hard": 1.0, "hint": 0.5 * hard / 6})


def test_a_negative_term_has_a_positive_weight():
    logits = torch.tensor([[-1.0, 0.0], [-1.0, 0.0]])
    batch = Batch({"images": torch.zeros(2, 1, 1, 1)}, torch.zeros(2).long(), torch.arange(2))
    made = objective(f"{HERE}:Doubled", Probe(Outputs(logits), None, (), (), 2))
    made.calibrate([Seen(batch, Outputs(logits))])
    assert made.raw_weights()["hint"] == pytest.approx(0.5 * math.log(1 + math.e) / 2)


def test_a_term_that_is_zero_takes_the_relative_weight_as_it_is():
    same = Outputs(STUDENT.logits, {"A": STUDENT.features["a"]})
    probe = Probe(STUDENT, same, ("a",), ("A",), 3)
    made = objective("attention_transfer", probe, weight=0.25)
    made.calibrate([Seen(BATCH, STUDENT, same)])
    assert made.raw_weights() == {"hard": 1.0, "attention": 0.25}


def test_a_term_that_is_rounding_alone_is_no_scale_either():
    """Else the weight would be some 1e9, and the noise of the term as large as CE."""
    logits = torch.tensor([[1e-9, 0.0], [1e-9, 0.0]])
    batch = Batch({"images": torch.zeros(2, 1, 1, 1)}, torch.zeros(2).long(), torch.arange(2))
    made = objective(f"{HERE}:Doubled", Probe(Outputs(logits), None, (), (), 2))
    made.calibrate([Seen(batch, Outputs(logits))])
    assert made.raw_weights() == {"hard": 1.0, "hint": 0.5}


def test_logged_raw_weights_repeat_the_trial():
    first = objective("kd", extra={"fitnet": {"weight": 0.3}})
    first.calibrate(SEEN)
    logged = first.raw_weights()
    again = objective("kd", extra={"fitnet": {"raw_weight": logged["hint"]}})
    assert not again.needs_calibration
    assert again.raw_weights() == logged
    ours, theirs = (made(*SEEN)[0] for made in (first, again))
    assert torch.equal(ours, theirs)


def test_calibration_changes_nothing_but_the_weights():
    made = objective("fitnet", batch_norm=True)
    before = {name: value.clone() for name, value in made.state_dict().items() if name != "raw"}
    made.calibrate(SEEN)
    after = made.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert all(p.grad is None for p in made.parameters())


def test_weights_survive_a_checkpoint():
    saved, loaded = objective("fitnet", weight=0.3), objective("fitnet", weight=7)
    saved.calibrate(SEEN)
    loaded.load_state_dict(saved.state_dict())
    assert loaded.raw_weights() == saved.raw_weights()
    ours, theirs = (made(*SEEN)[0] for made in (saved, loaded))
    assert torch.equal(ours, theirs)


def test_an_uncalibrated_checkpoint_stays_uncalibrated():
    loaded = nn.ModuleDict({"objective": objective("fitnet")})
    loaded["objective"].calibrate(SEEN)
    loaded.load_state_dict(nn.ModuleDict({"objective": objective("fitnet")}).state_dict())
    assert loaded["objective"].needs_calibration


def test_label_smoothing_is_of_the_hard_labels_only():
    plain, smoothed = objective("kd"), objective("kd", label_smoothing=0.3)
    before, after = (made(*SEEN)[1] for made in (plain, smoothed))
    assert torch.equal(before["soft"], after["soft"])
    torch.testing.assert_close(after["hard"], hard_labels(STUDENT.logits, LABELS, 0.3))
    assert not torch.equal(before["hard"], after["hard"])


def test_the_hard_labels_are_weighted_by_the_main_strategy():
    main = objective("kd", alpha=0.25, extra={"attention_transfer": {"raw_weight": 5}})
    assert main.raw_weights() == {"hard": 0.25, "soft": 0.75, "attention": 5.0}
    extra = objective("attention_transfer", raw_weight=5, extra={"kd": {"alpha": 0.25}})
    assert extra.raw_weights() == {"hard": 1.0, "attention": 5.0, "soft": 0.75}


def test_terms_of_one_name_get_their_strategies_names():
    made = objective("kd", extra={"fitnet": {}, f"{HERE}:Doubled": {}})
    made.calibrate(SEEN)
    total, terms = made(*SEEN)
    assert list(terms) == ["hard", "soft", "fitnet.hint", f"{HERE}:Doubled.hint"]
    torch.testing.assert_close(terms[f"{HERE}:Doubled.hint"], 2 * STUDENT.logits[:, 0])
    expected = sum(weight * terms[name] for name, weight in made.raw_weights().items())
    torch.testing.assert_close(total.detach(), expected)


def test_needs_and_layers_are_those_of_all():
    alone = Component(name="none")
    both = Component(name="none", extra={"kd": {}, "fitnet": {}, "attention_transfer": None})
    assert needs_of(alone) == Objective(alone, PROBE).needs == Needs(teacher=False)
    assert needs_of(both) == Objective(both, PROBE).needs == Needs(teacher=True, features=True)
    made = objective("kd", extra={"fitnet": {}, "attention_transfer": {}})
    assert (made.layers.student, made.layers.teacher) == (("a",), ("A",))


def test_no_gradient_reaches_the_teacher():
    leaves = [TEACHER.logits.clone().requires_grad_(), TEACHER.features["A"].clone()]
    leaves[1].requires_grad_()
    made = objective("kd", extra={"fitnet": {}})
    made.calibrate(SEEN)
    total, _ = made(Seen(BATCH, STUDENT, Outputs(leaves[0], {"A": leaves[1]})))
    total.mean().backward()
    assert all(leaf.grad is None for leaf in leaves)


def test_one_example_and_bfloat16():
    def half(outputs: Outputs) -> Outputs:
        cast: dict[str, Tensor] = {p: m[:1].bfloat16() for p, m in outputs.features.items()}
        return Outputs(outputs.logits[:1].bfloat16(), cast)

    made = objective("kd", extra={"attention_transfer": {"raw_weight": 10}})
    one = Batch({"images": BATCH.images[:1]}, LABELS[:1], BATCH.ids[:1])
    total, _ = made(Seen(one, half(STUDENT), half(TEACHER)))
    assert total.dtype == torch.float32
    assert total.isfinite().all()
    torch.testing.assert_close(total, made(*SEEN)[0][:1], rtol=0.05, atol=0.02)


def test_uncalibrated_weights_are_refused():
    made = objective("fitnet")
    assert made.needs_calibration
    for use in (made.raw_weights, lambda: made(*SEEN)):
        with pytest.raises(TrialError, match="have not been calibrated"):
            use()


def test_calibration_without_examples_is_refused():
    with pytest.raises(TrialError, match="no examples to calibrate"):
        objective("fitnet").calibrate([])


def test_calibration_on_a_diverged_student_is_refused():
    diverged = Outputs(STUDENT.logits * math.nan, STUDENT.features)
    with pytest.raises(TrialError, match=r"weight of 'hint' cannot be calibrated: .* loss is nan"):
        objective("fitnet").calibrate([Seen(BATCH, diverged, TEACHER)])


def test_problems_of_all_strategies_are_told_at_once():
    wrong = [{"student": "x", "teacher": "A"}]
    with pytest.raises(SpecError) as caught:
        objective("fitnet", layers=wrong, extra={"attention_transfer": {"layers": wrong}})
    assert caught.value.problems == (
        "strategy.layers.0.student: no layer 'x'; nearest: 'a'",
        "strategy.extra.attention_transfer.layers.0.student: no layer 'x'; nearest: 'a'",
    )


def test_a_missing_teacher_is_refused():
    alone = Probe(STUDENT, None, ("a",), (), 3)
    with pytest.raises(SpecError, match=r"^strategy.extra.kd: needs a teacher: give the trial one"):
        objective("none", alone, extra={"kd": {}})


@pytest.mark.parametrize("name", ["Undeclared", "Averaged"])
def test_terms_of_the_wrong_name_or_shape_are_refused(name):
    made = objective(f"{HERE}:{name}")
    allowed = r"one value per example: hint, each \[4\]"
    with pytest.raises(TrialError, match=f"{name} gave the terms .*{allowed}"):
        made.calibrate(SEEN)
