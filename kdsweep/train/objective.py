"""What a student is trained to minimise: hard labels, the strategy's terms, and the extras'."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import chain
from typing import cast

import torch
from torch import Tensor, nn

from kdsweep import catalog
from kdsweep.batch import Outputs
from kdsweep.errors import TrialError
from kdsweep.losses.logits import hard_labels
from kdsweep.probing import begin_strategies, build_strategies
from kdsweep.spec import Component
from kdsweep.strategies.base import (
    EpochEnd,
    Layers,
    Learner,
    Probe,
    Seen,
    Strategy,
    Weight,
)
from kdsweep.train.needs import together

_HARD = "hard"


class Objective(nn.Module):
    """``w_hard CE + sum_k w_k L_k`` over the terms of a strategy and of its extras.

    The terms of an ``extra`` are added; the hard-label loss is the main strategy's. A term has the
    name that its strategy gives it, with the strategy's name before it where two share one
    (``fitnet.hint``). The strategies' learned layers are submodules, to be trained with the
    student; the raw weights are a buffer, so a checkpoint goes on with those it was trained with.
    """

    raw: Tensor

    def __init__(
        self,
        component: Component,
        probe: Probe,
        *,
        label_smoothing: float = 0.0,
        hard_scale: float = 1.0,
    ) -> None:
        """Build the strategies for the probed networks.

        ``label_smoothing`` and ``hard_scale`` are of ``hard`` only: where not all examples have a
        label, the scale makes its mean over all examples that over those that have one.

        Raises:
            SpecError: a strategy cannot be built for these networks, or is given twice.
        """
        super().__init__()
        self.label_smoothing = label_smoothing
        self.hard_scale = hard_scale
        built = build_strategies(component, probe)
        self._component, self._paths = component, tuple(built)
        names = (component.name, *catalog.extras(component))
        named = list(zip(names, built.values(), strict=True))
        self.strategies = nn.ModuleList(built.values())
        self.needs = together(strategy.needs for strategy in built.values())
        self.layers = _union([strategy.layers for _, strategy in named])
        self._weights = _weights(named)
        self._names = _term_names(named)
        start = [_start(weight) for weight in self._weights.values()]
        self.register_buffer("raw", torch.tensor(start, dtype=torch.float32))
        self.register_load_state_dict_post_hook(_note_loaded_weights)  # type: ignore[no-untyped-call]
        self.needs_calibration = any(weight.relative for weight in self._weights.values())

    @property
    def main(self) -> Strategy:
        """The strategy that the trial names; the others are its extras."""
        return cast(Strategy, self.strategies[0])

    def learners(self) -> tuple[Learner, ...]:
        """What the strategies train by optimizers of their own."""
        return tuple(chain.from_iterable(cast(Strategy, s).learners() for s in self.strategies))

    def begin(self, student: nn.Module, teacher: nn.Module | None) -> None:
        """Let the strategies set the student up; raises ``SpecError`` where one cannot."""
        own = cast(Iterable[Strategy], self.strategies)
        built = dict(zip(self._paths, own, strict=True))
        begin_strategies(self._component, built, student, teacher)

    def check(self, end: EpochEnd) -> None:
        """Show each strategy an epoch with its own terms; raises ``TrialError`` if one objects."""
        for strategy, names in zip(self.strategies, self._names, strict=True):
            own = {key: end.means[name] for key, name in names.items()}
            means = {_HARD: end.means[_HARD], **own}
            cast(Strategy, strategy).check(replace(end, means=means))

    def forward(self, seen: Seen) -> tuple[Tensor, dict[str, Tensor]]:
        """The total of every example ``[N]``, and every term ``[N]``, unweighted and detached.

        No gradient reaches a teacher.

        Raises:
            TrialError: relative weights are not yet calibrated, or a tensor has a wrong shape.
        """
        if self.needs_calibration:
            raise TrialError("the relative weights of the loss terms have not been calibrated")
        terms, factors = self._terms(seen), self._factors(seen.progress)
        parts = [term * factors[n] if n in factors else term for n, term in terms.items()]
        total = (torch.stack(parts, dim=1) * self.raw).sum(dim=1)
        return total, {name: term.detach() for name, term in terms.items()}

    @torch.no_grad()
    def calibrate(self, seen: Iterable[Seen]) -> None:
        """Turn relative weights ``u`` into raw ones, ``u * CE_0 / |L_0|``, as means over ``seen``.

        Where no example has a label, ``CE_0`` is the first term of fixed weight in its place. A
        term that is zero on all of ``seen``, or no more than the rounding of ``CE_0``, has no scale
        to be relative to: its raw weight is ``u`` itself. Workers that train one trial together
        must all be given the same ``seen``. Nothing but the weights changes, if ``seen`` makes its
        outputs without a trace.

        Raises:
            TrialError: a term is not finite, or ``seen`` holds no example.
        """
        sums = torch.zeros(len(self._weights) + 1, dtype=torch.float64, device=self.raw.device)
        for each in seen:
            terms = self._terms(each)
            sums[:-1] += torch.stack([term.double().sum() for term in terms.values()])
            sums[-1] += len(each.batch)
        *totals, count = sums.tolist()
        if count == 0:
            raise TrialError("no examples to calibrate the weights of the loss terms with")
        means = dict(zip(self._weights, (total / count for total in totals), strict=True))
        reference = _reference(self._weights, means)
        raw = [_raw(name, weight, means, reference) for name, weight in self._weights.items()]
        self.raw.copy_(torch.tensor(raw, dtype=torch.float32))
        self.needs_calibration = False

    def raw_weights(self) -> dict[str, float]:
        """The factor of every term, as it is multiplied; a trial given these repeats this one.

        Raises:
            TrialError: relative weights are not yet calibrated.
        """
        if self.needs_calibration:
            raise TrialError("the relative weights of the loss terms have not been calibrated")
        return dict(zip(self._weights, self.raw.tolist(), strict=True))

    def _terms(self, seen: Seen) -> dict[str, Tensor]:
        hard = hard_labels(seen.student.logits, seen.batch.labels, self.label_smoothing)
        terms = {_HARD: hard * self.hard_scale if self.hard_scale != 1 else hard}
        if self.needs.data:
            seen = _detached(seen)
        else:
            # There are no labels, and a gradient of zeros would move the student by its momentum.
            terms[_HARD] = terms[_HARD].detach()
        # Inputs with a gradient are made by a strategy that learns from them: its extras rest.
        rest = any(inputs.requires_grad for inputs in seen.batch.inputs.values())
        for module, names in zip(self.strategies, self._names, strict=True):
            strategy = cast(Strategy, module)
            with torch.no_grad() if rest and strategy is not self.main else nullcontext():
                own = strategy.terms(seen)
            _check_terms(strategy, own, names, len(seen.batch))
            terms |= {name: own[key] for key, name in names.items()}
        return terms

    def _factors(self, progress: float) -> dict[str, float]:
        """By the names of the objective; of ``hard`` the main strategy's alone."""
        found: dict[str, float] = {}
        for strategy, names in zip(self.strategies, self._names, strict=True):
            own = cast(Strategy, strategy).factors(progress)
            found |= {name: own[key] for key, name in names.items() if key in own}
            if strategy is self.main and _HARD in own:
                found[_HARD] = own[_HARD]
        return found


def _union(layers: Sequence[Layers]) -> Layers:
    return Layers(
        student=tuple(dict.fromkeys(chain.from_iterable(each.student for each in layers))),
        teacher=tuple(dict.fromkeys(chain.from_iterable(each.teacher for each in layers))),
    )


def _own_weights(strategy: Strategy) -> dict[str, Weight]:
    return {key: weight for key, weight in strategy.weights().items() if key != _HARD}


def _term_names(named: Sequence[tuple[str, Strategy]]) -> list[dict[str, str]]:
    """For each strategy its own keys -> the names of the terms in the objective."""
    used = Counter(key for _, strategy in named for key in _own_weights(strategy))
    return [
        {key: f"{name}.{key}" if used[key] > 1 else key for key in _own_weights(strategy)}
        for name, strategy in named
    ]


def _weights(named: Sequence[tuple[str, Strategy]]) -> dict[str, Weight]:
    """The weight of every term, ``hard`` first: the order of the buffer."""
    weights = {_HARD: named[0][1].weights()[_HARD]}
    for (_, strategy), names in zip(named, _term_names(named), strict=True):
        own = _own_weights(strategy)
        weights |= {name: own[key] for key, name in names.items()}
    return weights


def _check_terms(
    strategy: Strategy, own: Mapping[str, Tensor], names: Mapping[str, str], num_examples: int
) -> None:
    shapes = {key: list(term.shape) for key, term in own.items()}
    if shapes != {key: [num_examples] for key in names}:
        raise TrialError(
            f"{type(strategy).__name__} gave the terms {shapes}; allowed are those that it has "
            f"weights for, one value per example: {', '.join(names) or 'none'}, "
            f"each [{num_examples}]"
        )


def _start(weight: Weight) -> float:
    return float("nan") if weight.relative else weight.value


def _reference(weights: Mapping[str, Weight], means: Mapping[str, float]) -> float:
    """The hard-label loss; where there are no labels, the first term of fixed weight, weighted."""
    if means[_HARD] != 0:
        return means[_HARD]
    fixed = [n for n, weight in weights.items() if not weight.relative and weight.value > 0]
    return next((abs(means[n]) * weights[n].value for n in fixed if means[n] != 0), 0.0)


def _raw(name: str, weight: Weight, means: Mapping[str, float], hard: float) -> float:
    if not weight.relative:
        return weight.value
    loss = abs(means[name])
    if loss == 0:
        return weight.value
    if hard == 0:
        raise TrialError(
            f"the weight of {name!r} is relative to the hard-label loss, and there is none: "
            "use raw_weight"
        )
    if loss <= torch.finfo(torch.float32).eps * hard:
        return weight.value
    raw = weight.value * hard / loss
    if raw > torch.finfo(torch.float32).max or raw != raw:
        raise TrialError(
            f"the weight of {name!r} cannot be calibrated: on the first batches the hard-label "
            f"loss is {hard:.3g} and the term {loss:.3g}; use raw_weight, or a smaller learning "
            "rate if the student has diverged"
        )
    return raw


def _detached(seen: Seen) -> Seen:
    own = None if seen.teacher_outputs is None else _without_gradient(seen.teacher_outputs)
    teachers = {name: _without_gradient(each) for name, each in seen.teachers.items()}
    return replace(seen, teacher_outputs=own, teachers=teachers)


def _without_gradient(outputs: Outputs) -> Outputs:
    features = {path: map_.detach() for path, map_ in outputs.features.items()}
    return Outputs(outputs.logits.detach(), features)


def _note_loaded_weights(objective: nn.Module, _incompatible: object) -> None:
    """A loaded objective is calibrated if the one that was saved was."""
    loaded = cast(Objective, objective)
    loaded.needs_calibration = bool(loaded.raw.isnan().any())
