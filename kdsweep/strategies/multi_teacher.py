"""Several teachers at once: the student learns from the mean of what they say."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import BeforeValidator
from torch import Tensor

from kdsweep.batch import Outputs
from kdsweep.errors import SpecError, TrialError, unknown_name
from kdsweep.losses.logits import soft_targets
from kdsweep.losses.teachers import combined, confidence_weights, entropy_weights, equal_weights
from kdsweep.spec import Settings
from kdsweep.spec.trial import MAIN_TEACHER
from kdsweep.strategies.base import Needs, Probe, Seen, Strategy, Weight, probed_teacher
from kdsweep.strategies.parts.classes import same_classes
from kdsweep.strategies.parts.softening import Softening


def _named(given: Any) -> Any:
    """Refuse what is neither ``all`` nor a list of different names, in one sentence."""
    if given == "all":
        return given
    if not isinstance(given, list | tuple) or not all(isinstance(name, str) for name in given):
        raise ValueError("must be all, or a list of teachers' names, as [teacher, large]")
    if not given:
        raise ValueError("names no teacher: name at least one, or all")
    twice = [name for name, times in Counter(given).items() if times > 1]
    if twice:
        raise ValueError(f"names {twice[0]!r} twice: a teacher is given once")
    return tuple(given)


class MultiTeacher(Strategy):
    """``L = alpha CE + (1 - alpha) T^2 KL(sum_k w_k p_k^T || p_s^T)``: the teachers' mean.

    The mean is of probabilities, not of logits. Its weights are equal (``mean``), or each
    example's own: ``(1 - H_k / sum_j H_j) / (K - 1)`` with the entropies ``H`` (``entropy``), or
    ``(1 - softmax_k CE_k) / (K - 1)`` with the teachers' cross-entropies (``confidence``: CA-MKD;
    where there is no label, equal). One teacher is plain ``kd``.

    Source: arXiv:2201.00007.
    """

    class Params(Softening):
        """Which teachers, how their answers are weighted, and the settings of ``kd``."""

        teachers: Annotated[Literal["all"] | tuple[str, ...], BeforeValidator(_named)] = "all"
        combine: Literal["mean", "entropy", "confidence"] = "mean"

    needs: ClassVar[Needs] = Needs()
    source: ClassVar[str] = "arXiv:2201.00007"
    params: Params

    def __init__(self, params: Params, probe: Probe) -> None:
        """Settle which teachers are asked.

        Raises:
            SpecError: there is no main teacher, one that is named does not exist, or the classes
                of one are not the student's.
        """
        super().__init__(params, probe)
        have = {MAIN_TEACHER: probed_teacher(probe), **probe.teachers}
        self.names = _asked(params, tuple(have))
        for name in self.names:
            same_classes(probe.student, have[name], f"the teacher {name!r}")

    @classmethod
    def chosen(cls, params: Settings, teachers: Sequence[str]) -> tuple[str, ...]:
        """Those that are asked besides the main one.

        Raises:
            SpecError: one that is named does not exist.
        """
        assert isinstance(params, cls.Params)
        asked = _asked(params, (MAIN_TEACHER, *teachers))
        return tuple(name for name in asked if name != MAIN_TEACHER)

    def weights(self) -> Mapping[str, Weight]:
        """``alpha`` and ``1 - alpha``, or the two untied weights."""
        return self.params.weights()

    def factors(self, progress: float) -> Mapping[str, float]:
        """``alpha`` and ``1 - alpha`` where they move."""
        return self.params.factors(progress)

    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """``soft``: ``T^2 KL`` from the teachers' mean at the temperature."""
        teachers = torch.stack([_outputs(seen, name).logits for name in self.names])
        temperature = self.params.temperature_at(seen.progress)
        together = combined(teachers, self._weights_of(teachers, seen), temperature)
        return {"soft": soft_targets(seen.student.logits, together, temperature)}

    def _weights_of(self, teachers: Tensor, seen: Seen) -> Tensor:
        if self.params.combine == "entropy":
            return entropy_weights(teachers)
        if self.params.combine == "confidence":
            return confidence_weights(teachers, seen.batch.labels)
        return equal_weights(teachers)


def _asked(params: MultiTeacher.Params, have: Sequence[str]) -> tuple[str, ...]:
    if params.teachers == "all":
        return tuple(have)
    problems = [
        f"teachers.{position}: {unknown_name('teacher', name, have)}"
        for position, name in enumerate(params.teachers)
        if name not in have
    ]
    if problems:
        raise SpecError(problems)
    return params.teachers


def _outputs(seen: Seen, name: str) -> Outputs:
    if name == MAIN_TEACHER:
        return seen.teacher
    if name not in seen.teachers:
        raise TrialError(f"the strategy needs the teacher {name!r}, and the batch came without")
    return seen.teachers[name]
