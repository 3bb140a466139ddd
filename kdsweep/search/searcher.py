"""Ray Tune's side of the search: our sampler and our journal as a Tune ``Searcher``.

Not as a callback: for each of those Tune imports every tracking library that is installed.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ray.tune.search import Searcher

from kdsweep.errors import SpecError
from kdsweep.results.record import TrialResult
from kdsweep.results.store import RunStore
from kdsweep.search import environment  # noqa: F401  # before ray
from kdsweep.search.budget import Budget
from kdsweep.search.fixed_points import FixedPoints
from kdsweep.search.job import Job
from kdsweep.search.journal import Journal
from kdsweep.search.replicated import ReplicatedSampler
from kdsweep.search.rungs import Rungs, rungs_of
from kdsweep.search.sampler import Proposal
from kdsweep.spec import TrialSpec
from kdsweep.sweep_file import Sweep, at
from kdsweep.train.needs import needs_of

TEACHER_KEY = "teacher"
"""The job that makes the sweep's own teacher; trials that learn from it come after."""


class FrontSearcher(Searcher):  # type: ignore[misc]
    """Gives Tune the sampler's proposals as jobs for a lane; tells the sampler what came of them.

    Only the driver's thread that runs Tune calls it. ``close`` ends the search from any thread.
    """

    def __init__(
        self,
        sweep: Sweep,
        sampler: ReplicatedSampler | FixedPoints,
        journal: Journal,
        store: RunStore,
        *,
        rungs: Rungs,
        budget: Budget,
        board: str,
        namespace: str,
        on_refusal: Callable[[str], object],
        all_come_after: bool = False,
    ) -> None:
        """With ``all_come_after`` no trial begins before the teacher's job has ended.

        ``on_refusal`` hears why the search is over where nothing more can be written.
        """
        super().__init__(metric=next(iter(sweep.spec.objectives)), mode="max")
        self._sweep, self._sampler, self._journal, self._store = sweep, sampler, journal, store
        self._rungs, self._budget = rungs, budget
        self._where = {"board": board, "namespace": namespace}
        self._proposals: dict[str, Proposal] = {}
        self._held: Proposal | None = None
        self._all_come_after, self._on_refusal = all_come_after, on_refusal
        self.ended_by = ""
        """Why the search ended before its last trial, in words."""
        self._closed = threading.Event()

    def close(self) -> None:
        """Propose nothing more."""
        self._closed.set()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial's job; ``None`` to be asked again later, ``FINISHED`` at the end."""
        with self._recording():
            return self._suggest(trial_id)
        return str(Searcher.FINISHED)

    @contextmanager
    def _recording(self) -> Iterator[None]:
        """A record that cannot be written ends the search: what is not kept is trained in vain."""
        try:
            yield
        except OSError as error:
            self.close()
            self._on_refusal(str(error))

    def _suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        while not self._closed.is_set():
            proposal = self._held or self._sampler.ask()
            if proposal is None:
                return self._no_proposal()
            trial = self._trial(proposal)
            if trial is None:
                continue
            self._held = None
            if not self._budget.set_aside(trial.train.epochs):
                if not self._proposals:
                    self.ended_by = self._budget.why_not_set_aside
                    break
                # Of the epochs that are set aside for those that run some may come back.
                self._held = proposal
                return None
            self._proposals[trial_id] = proposal
            # As text: Tune copies nested settings more than once, and keeps each.
            return {"job": json.dumps(self._job(proposal, trial)), **self._where}
        return str(Searcher.FINISHED)

    def _no_proposal(self) -> str | None:
        if not self._sampler.exhausted:
            return None
        if self._sampler.ended_early is not None:
            self._journal.warn([self._sampler.ended_early])
        return str(Searcher.FINISHED)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Epochs of a trial, and the teachers that its lane made or found for it."""
        with self._recording():
            self._note(result)

    def _note(self, result: dict[str, Any]) -> None:
        key = result["key"]
        self._journal.epochs(key, result["epochs"], result["lane"], result["resumed_after"])
        if result["interruptions"] or result["resumed_after"]:
            self._journal.interrupted(key, result["interruptions"])
        outcome = json.loads(result["outcome"]) if result["outcome"] else {}
        for teacher in outcome.get("teachers") or ():
            self._journal.teacher_of(key, teacher)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A trial ended; without a result its Tune actor was lost for good."""
        with self._recording():
            self._complete(trial_id, result)

    def _complete(self, trial_id: str, result: dict[str, Any] | None) -> None:
        proposal = self._proposals.pop(trial_id, None)
        if proposal is None:
            return
        key = key_of(proposal.number)
        if result:
            self._note(result)
        told = (result or {}).get("outcome")
        outcome = (
            json.loads(told)
            if told
            else {
                "status": "stopped" if self._closed.is_set() else "failed",
                "error": "Ray Tune lost the trial's actor; see the logs of Ray",
            }
        )
        if outcome.get("no_room"):
            self.close()
            self._on_refusal(outcome["error"])
        trained = self._journal.trained(key)
        ended = self._journal.end(key, outcome)
        self._budget.settle(ended.trial["train"]["epochs"], trained=trained)
        self._rungs.ended(ended)
        self._sampler.tell(proposal.number, self._rungs.estimated(ended))

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the records are what a sweep is resumed from."""

    def restore(self, checkpoint_path: str) -> None:
        """See ``save``."""

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its searcher for a restore of its own, which is never made."""
        return {}

    def _trial(self, proposal: Proposal) -> TrialSpec | None:
        """The trial that is proposed; ``None`` if it failed here, which is recorded."""
        base = self._sweep.spec.trial
        # The seed is no part of the assignment: it is not what the search set.
        seed = {"seed": base.seed + proposal.replicate} if proposal.replicate else {}
        try:
            return at(base, {**proposal.assignment.changes, **seed, **proposal.beside})
        except SpecError as error:
            # Every corner was checked at load; a combination may still be refused.
            begun = self._begin(proposal, base)
            outcome = {"status": "failed", "error": str(error)}
            self._sampler.tell(proposal.number, self._journal.end(begun.trial_id, outcome))
            return None

    def _job(self, proposal: Proposal, trial: TrialSpec) -> dict[str, Any]:
        """What a lane needs for a trial, which has a record from now on."""
        begun, base = self._begin(proposal, trial), self._sweep.spec.trial
        key = begun.trial_id
        job: Job = {
            "key": key,
            "kind": "trial",
            "trial": begun.trial,
            "weights": str(self._store.weights_of(key)),
            "checkpoints": str(self._store.checkpoints_of(key)),
        }
        if self._store.meta.confirms is not None:
            job["opens_test"] = True
        elif proposal.role == "trial":
            job["rungs"] = self._entered(begun, trial)
        own_teacher = trial.teacher == base.teacher
        if self._all_come_after or (own_teacher and needs_of(trial.strategy).teacher):
            job["after"] = TEACHER_KEY
        return job

    def _entered(self, begun: TrialResult, trial: TrialSpec) -> list[int]:
        """The epochs at which the lane is to wait; controls have none, they are never ended."""
        found = rungs_of(trial.train, self._sweep.spec.search)
        sizes = self._sweep.sizes_of(begun.changes) if found else None
        if sizes is None:
            return []  # a student that cannot be built fails as it starts
        self._rungs.enter(begun.trial_id, sizes=sizes, rungs=found)
        for epoch in self._journal.epochs_before(begun.trial_id):
            # Where it goes on from later than that, its lane does not wait there again.
            self._rungs.judge(begun.trial_id, epoch)
        return [rung.epoch for rung in found]

    def _begin(self, proposal: Proposal, trial: TrialSpec) -> TrialResult:
        return self._journal.begin(
            key_of(proposal.number),
            proposal.number,
            proposal.role,
            trial,
            proposal.assignment.changes,
            proposal.assignment.params,
            replicate=proposal.replicate,
            replicates=proposal.replicates,
        )


def key_of(number: int) -> str:
    """The trial id of a proposal: sorts as a name, and fits any path."""
    return f"{number:05d}"
