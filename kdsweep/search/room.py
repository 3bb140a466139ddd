"""One budget of bytes for all that a sweep keeps: students' weights, checkpoints, outputs."""

from collections.abc import Callable, Collection
from pathlib import Path

from kdsweep.results.names import DAMAGED, TRIALS, WEIGHTS_FILE
from kdsweep.results.record import TrialResult
from kdsweep.results.store import RunStore
from kdsweep.storage.address import Place, under
from kdsweep.storage.sizes import folders_in, remove_file, size_under
from kdsweep.sweep_file.asked import bytes_in_words


class Room:
    """Gives up the weights of students that nobody will choose when ``max_bytes`` are used up.

    The oldest go first, after those of damaged records. Those on the front stay whatever they take,
    and so do the checkpoints of trials that run, and what is stored of teachers: that has a limit
    of its own.
    """

    def __init__(
        self,
        store: RunStore,
        max_bytes: int | None,
        *,
        teachers: Place,
        tell: Callable[[str], object],
    ) -> None:
        self._store, self._max, self._teachers, self._tell = store, max_bytes, teachers, tell
        self._told = False

    def look(self, ended: Collection[TrialResult], front: Collection[TrialResult]) -> list[str]:
        """Make room if there is too little; the ids of trials whose weights were given up.

        ``ended`` are the records of this run, ``front`` those of its front.
        """
        if self._max is None:
            return []
        used = self.used(ended)
        if used <= self._max:
            return []
        used -= sum(map(remove_file, self._set_aside()))
        gone: list[str] = []
        kept = {trial_id for result in front for trial_id in result.trial_ids}
        for result in sorted(ended, key=lambda each: each.started + each.seconds):
            if used <= self._max:
                break
            if result.role != "teacher" and result.trial_id not in kept:
                freed = remove_file(self._store.weights_of(result.trial_id))
                used -= freed
                gone += [result.trial_id] if freed else []
        if used > self._max and not self._told:
            self._told = True
            self._tell(
                f"warning: the run keeps {bytes_in_words(used)}, and storage.max_bytes allows "
                f"{bytes_in_words(self._max)}: what is left is on the front, of trials that run, "
                "or stored of the teacher"
            )
        return gone

    def _set_aside(self) -> list[Path]:
        """Weights whose records could not be read: nobody can choose them."""
        return sorted((self._store.directory / DAMAGED).glob(f"*/{WEIGHTS_FILE}"))

    def used(self, ended: Collection[TrialResult]) -> int:
        """Bytes of the run's weights and checkpoints, those set aside as damaged among them, and
        of all that is kept of its teachers.
        """
        teachers = [each.trial_id for each in ended if each.role == "teacher"]
        digests = {trial_id.removeprefix("teacher-") for trial_id in teachers}
        outputs = (
            size_under(under(self._teachers, name), {".f16", ".json", ".safetensors", ".new"})
            for name in folders_in(self._teachers) if name[:8] in digests
        )  # fmt: skip
        # Not of what was exported, which nobody here may remove.
        kept = (under(self._store.base, name) for name in (TRIALS, DAMAGED))
        return sum(size_under(place, {".safetensors"}) for place in kept) + sum(outputs)
