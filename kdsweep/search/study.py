"""Optuna's study of a sweep, asked for points and told of results by our names for them."""

from collections.abc import Mapping

import optuna
from optuna.trial import TrialState, create_trial

from kdsweep.results.record import Metric, TrialResult
from kdsweep.search.bounds import objective_values, told_values, user_attrs, violations
from kdsweep.search.optuna_terms import distribution, first_generation, make_sampler, suggest
from kdsweep.spec import Assignment, Label, Space, SweepSpec
from kdsweep.spec.sweep import NamedSampler


class Study:
    """The only writer of an Optuna study; knows neither numbers nor roles of trials."""

    def __init__(
        self, spec: SweepSpec, space: Space, sampler: NamedSampler, *, num_known: int
    ) -> None:
        self._spec, self._space, self._name = spec, space, sampler
        self._dimensions = {dimension.name: dimension for dimension in space.dimensions()}
        self._study = optuna.create_study(
            study_name=spec.name,
            directions=[f"{d}imize" for d in spec.objectives.values()],
            sampler=make_sampler(sampler, spec.search, num_known=num_known),
        )

    def has(self, params: Mapping[str, Label]) -> bool:
        """Whether ``params`` are of a point of this space."""
        return bool(params) and set(params) <= set(self._dimensions)

    def ask(self) -> tuple[optuna.Trial, Assignment]:
        """A point that the sampler proposes."""
        asked = self._study.ask()
        return asked, self._space.resolve(lambda dimension: suggest(asked, dimension))

    def place(self, params: Mapping[str, Label]) -> optuna.Trial:
        """The point of ``params``, as if the sampler had proposed it."""
        self._study.enqueue_trial(dict(params))
        asked = self._study.ask()
        for name in params:
            suggest(asked, self._dimensions[name])
        return asked

    def refuse(self, asked: optuna.Trial, sizes: Mapping[Metric, float]) -> None:
        """A proposed point is not trained; the sampler is asked for another.

        ``sizes`` are those of its student where they are out of bounds, else empty. TPE learns by
        how much from such a point, and nothing from its values; what others would take from the
        values is not known, so to them it has failed.
        """
        bounds = self._spec.constraints
        missed = violations(sizes, {name: bounds[name] for name in bounds if name in sizes})
        if self._name != "tpe" or not any(violation > 0 for violation in missed.values()):
            self._study.tell(asked, state=TrialState.FAIL)
            return
        for name, violation in missed.items():
            asked.set_constraint(name, violation)
        values = [sizes.get(name, 0.0) for name in self._spec.objectives]
        self._study.tell(asked, told_values(values, self._spec.objectives))

    def tell(self, asked: optuna.Trial, result: TrialResult) -> None:
        """What came of a point: failed, stopped and unmeasured ones are told as failed."""
        for name, value in user_attrs(result).items():
            asked.set_user_attr(name, value)
        values = objective_values(result, self._spec.objectives)
        if values is None:
            self._study.tell(asked, state=TrialState.FAIL)
            return
        for name, violation in violations(result.metrics, self._spec.constraints).items():
            asked.set_constraint(name, violation)
        self._study.tell(asked, told_values(values, self._spec.objectives))

    def add(self, result: TrialResult) -> None:
        """A result of an earlier process or sweep, as if it had been asked for and told here."""
        values, objectives = objective_values(result, self._spec.objectives), self._spec.objectives
        complete = values is not None
        generation = first_generation(self._study.sampler)
        self._study.add_trial(
            create_trial(
                state=TrialState.COMPLETE if complete else TrialState.FAIL,
                values=None if values is None else told_values(values, objectives),
                params=result.params,
                distributions={
                    name: distribution(self._dimensions[name]) for name in result.params
                },
                user_attrs=user_attrs(result),
                system_attrs=generation,
                constraints=violations(result.metrics, self._spec.constraints)
                if complete
                else None,
            )
        )
