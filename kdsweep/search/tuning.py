"""Ray Tune as a sweep uses it."""

from pathlib import Path
from typing import Any

from kdsweep.search import environment  # noqa: F401  # before ray
from kdsweep.search.cluster import Fitted
from kdsweep.search.trainable import LaneTrial

# isort: split
from ray.tune import (
    CheckpointConfig,
    FailureConfig,
    PlacementGroupFactory,
    RunConfig,
    TuneConfig,
    Tuner,
    with_resources,
)

LISTENERS_MAY_DIE = 100
"""So often Tune replaces its actor of one trial, as when nodes are taken away."""


def tune(searcher: Any, scheduler: Any, fitted: Fitted, scratch: Path) -> None:
    """Ray Tune over the searcher's trials, as many at once as there are lanes."""
    tuner = Tuner(
        # Ray asks every trial for some resource; the processors are the lanes'.
        with_resources(LaneTrial, PlacementGroupFactory([{"memory": 2**20}])),
        tune_config=TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=-1,
            max_concurrent_trials=fitted.lanes,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=RunConfig(
            name="trials",
            storage_path=str(scratch),
            verbose=0,
            # Of Tune's light actors: they hold nothing, and another one listens on.
            failure_config=FailureConfig(max_failures=LISTENERS_MAY_DIE),
            # A trial keeps nothing here: to save it would keep its lane waiting for a round trip.
            checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    tuner.fit()
