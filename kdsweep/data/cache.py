"""What is worked out once on a machine and kept: whole, or made again."""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from kdsweep.storage.atomic import write_bytes
from kdsweep.storage.copies import cache_folder

_log = logging.getLogger(__name__)
_DIGEST_SIZE = hashlib.sha256().digest_size


def kept(name: str, make: Callable[[], bytes]) -> bytes:
    """What ``make`` gives, kept as file ``name`` of the cache under its SHA-256.

    ``name`` says all that the content follows from. One process makes it while the others wait. A
    file that is cut short or altered is made again, with a warning in the log.
    """
    path = cache_folder() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    content = _read(path)
    if content is None:
        with FileLock(path.with_suffix(".lock")):
            content = _read(path)
            if content is None:
                content = make()
                write_bytes(path, hashlib.sha256(content).digest() + content)
    return content


def _read(path: Path) -> bytes | None:
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        return None
    digest, content = found[:_DIGEST_SIZE], found[_DIGEST_SIZE:]
    if hashlib.sha256(content).digest() != digest:
        _log.warning("%s does not match its checksum; it is made again", path)
        return None
    return content
