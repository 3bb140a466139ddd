"""Files of a run directory as artifacts of its parent run, each sent when it has changed."""

import hashlib
import os
from typing import Any

from kdsweep.report.picture_files import picture_files
from kdsweep.results.store import RunStore


class Files:
    """What was sent of the front and the pictures; a file of the same name replaces the one before.

    Its content decides, not its time: pictures of a sweep that stands still are drawn again.
    """

    def __init__(self, client: Any, run_id: str, store: RunStore) -> None:
        self._client, self._run_id, self._store = client, run_id, store
        self._sent: dict[str, tuple[tuple[int, int, int], bytes]] = {}

    def send(self) -> int:
        """Send those that are new or have changed; how many.

        Raises:
            Exception: whatever MLflow, its store or the network raise.
        """
        num_sent = 0
        for path in picture_files(self._store):
            name = path.relative_to(self._store.directory)
            try:
                seen, before = _state(os.stat(path)), self._sent.get(str(name))
                if before is not None and before[0] == seen:
                    continue
                digest = hashlib.sha256(path.read_bytes()).digest()
            except FileNotFoundError:
                continue  # a picture of which there is nothing to show any more
            if before is None or before[1] != digest:
                above = str(name.parent) if len(name.parts) > 1 else None
                self._client.log_artifact(self._run_id, str(path), above)
                num_sent += 1
            self._sent[str(name)] = (seen, digest)
        return num_sent


def _state(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_mtime_ns, found.st_size
