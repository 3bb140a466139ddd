"""Ray Tune's side of a trial: a light actor that hands its settings to a lane and listens."""

import json
from typing import Any

import ray
from ray.tune import Trainable

NEWS_EVERY_S = 1.0
"""Shortest time between two results of a trial: Tune's event loop pays for each of them."""


class LaneTrial(Trainable):  # type: ignore[misc]
    """One trial after another, each trained by a lane; nothing is trained in this process.

    ``config`` holds the ``job`` (see ``board``) in JSON, and where the switchboard is. A trial that
    fails ends like any other, with ``status: failed`` in its last result: raising here would cost
    a new process. An actor that goes away stops nothing: Tune may start one too many for a trial
    and remove it again while another one listens.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Submit the first trial."""
        self._ended: str | None = None
        self._board = ray.get_actor(config["board"], namespace=config["namespace"])
        self._submit(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Submit the next trial; the process stays."""
        self._submit(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """What the lane reported since the last time, in one result."""
        news = ray.get(self._board.news.remote(self._key, self._seen, NEWS_EVERY_S))
        self._seen += len(news["epochs"])
        done = news["outcome"] is not None
        if done:
            self._ended = self._key
        # As text: Tune flattens nested results on their way to the searcher.
        outcome = json.dumps(news["outcome"]) if done else None
        at_rung = json.dumps(news["at_rung"]) if news["at_rung"] else None
        return {**news, "outcome": outcome, "at_rung": at_rung, "key": self._key, "done": done}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """Nothing is kept here: what a trial needs to go on is the lane's."""
        return {"key": self._key}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """See ``save_checkpoint``."""

    def _submit(self, config: dict[str, Any]) -> None:
        job = json.loads(config["job"])
        self._key: str = job["key"]
        self._seen = 0
        ray.get(self._board.submit.remote(job, self._ended))
