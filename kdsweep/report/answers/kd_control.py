"""The controls against each other: plain kd at its defaults against the same student without it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kdsweep.report.answers.alike import ChanceLevel, at_chance_words
from kdsweep.report.answers.helped import NONE, Verdict, verdict
from kdsweep.report.answers.section import between
from kdsweep.report.answers.sureness import Interval, mean_and_deviation, newcombe, of_pairs
from kdsweep.report.labels import strategy_label
from kdsweep.results.record import TrialResult

_FOLLOWS: dict[Verdict, str] = {
    "helped": "so that {} helped",
    "hurt": "so that {} hurt",
    "ahead, one seed": "so that {} is ahead; the luck of the one seed of each is not in that",
    "behind, one seed": "so that {} is behind; the luck of the one seed of each is not in that",
    "cannot tell": "which cannot be told from chance",
}


@dataclass(frozen=True)
class ControlPair:
    """A control with a teacher against that without: the same student, trained for as long."""

    strategy: str
    accuracy: float
    without: float
    """Both are means over the seeds that the two have in common, 0..1."""
    num_seeds: int
    difference: float
    interval: Interval | None
    """Over pairs of seeds; of one seed over validation examples, none if their number is unknown.
    """

    num_at_chance: int = 0
    """Of these ``2 * num_seeds`` trainings those that did not learn."""

    @property
    def verdict(self) -> Verdict:
        """What can be said of the difference."""
        return verdict(self.interval, over_seeds=self.num_seeds > 1)


def control_pairs(
    results: Iterable[TrialResult], examples: int | None, num_classes: int | None = None
) -> list[ControlPair]:
    """Each control with a teacher, by its strategy; none where one of the two is not complete."""
    by_strategy: dict[str, dict[int, float]] = {}
    for result in results:
        if result.role == "control" and result.status == "complete":
            accuracy = result.metrics.get("accuracy")
            if accuracy is not None:
                by_strategy.setdefault(strategy_label(result), {})[result.replicate] = accuracy
    without = by_strategy.pop(NONE, {})
    found = []
    for strategy, ours in by_strategy.items():
        pairs = [(ours[seed], without[seed]) for seed in sorted(ours.keys() & without.keys())]
        if pairs:
            found.append(_pair(strategy, pairs, ChanceLevel(num_classes, examples)))
    return found


def _pair(strategy: str, pairs: Sequence[tuple[float, float]], chance: ChanceLevel) -> ControlPair:
    differences = [one - other for one, other in pairs]
    interval = of_pairs(differences)
    if interval is None and chance.examples is not None:
        interval = newcombe(*pairs[0], chance.examples)
    num_at_chance = sum(chance.has(accuracy) for pair in pairs for accuracy in pair)
    accuracy, without = (mean_and_deviation(each)[0] for each in zip(*pairs, strict=True))
    return ControlPair(
        strategy, accuracy, without, len(pairs), mean_and_deviation(differences)[0], interval,
        num_at_chance,
    )  # fmt: skip


def control_sentence(pair: ControlPair, examples: int | None) -> str:
    """The two in words, with the difference, its interval, and what follows."""
    of = f"over {pair.num_seeds} pairs of seeds" if pair.num_seeds > 1 else (
        f"of {examples:,} validation examples" if examples else ""
    )  # fmt: skip
    sure = f"95% interval {between(pair.interval)}, {of}" if pair.interval else "interval unknown"
    return (
        f"The control with {pair.strategy} at its defaults reached {100 * pair.accuracy:.2f}%, and "
        "the control without a teacher, the same student trained for as long, "
        f"{100 * pair.without:.2f}%: {100 * pair.difference:+.2f} percentage points ({sure}), "
        f"{_FOLLOWS[pair.verdict].format(pair.strategy)}."
        f"{at_chance_words(pair.num_at_chance, 2 * pair.num_seeds)}"
    )
