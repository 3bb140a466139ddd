"""A list of trials as Tune's search, and a word for the end of each. Imports Ray when imported."""

from collections.abc import Callable, Iterable
from typing import Any

from ray.tune.search import Searcher


class Listed(Searcher):  # type: ignore[misc]
    """Gives Tune the trials in order; ``ended`` hears each one's last result, at once."""

    def __init__(
        self, trials: Iterable[dict[str, Any]], ended: Callable[[dict[str, Any]], None]
    ) -> None:
        super().__init__(metric="training_iteration", mode="max")
        self._left = iter(trials)
        self._ended = ended

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        """The next trial's settings."""
        return next(self._left, str(Searcher.FINISHED))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A trial has ended; one that failed ends the benchmark."""
        if error or not result:
            raise SystemExit(f"trial {trial_id} failed: {result}")
        self._ended(result)

    def save(self, checkpoint_path: str) -> None:
        """Nothing is ever restored."""

    def restore(self, checkpoint_path: str) -> None:
        """See ``save``."""

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its searcher for a restore that never comes."""
        return {}
