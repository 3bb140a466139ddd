"""The copy at hand of what an object store holds: a directory of this machine's cache.

    CACHE/storage/s3-bucket-sweeps-1a2b3c4d/storage.json       whose copy it is
                                            digits/            a run
                                            teachers/          weights and stored outputs

What is in it may be deleted when nothing runs: it is fetched again.
"""

import hashlib
import json
import os
import re
from functools import lru_cache
from pathlib import Path

from platformdirs import user_cache_dir

from kdsweep.storage.address import Place, checked, is_address
from kdsweep.storage.atomic import write_bytes

_MARK = "storage.json"
TEACHERS = "teachers"


def cache_folder() -> Path:
    """Where what can be made again is kept: ``KDSWEEP_CACHE``, else the user's cache directory."""
    return Path(os.environ.get("KDSWEEP_CACHE") or user_cache_dir("kdsweep"))


def root_at_hand(place: Place) -> Path:
    """The directory for runs at ``place``: itself, or the copy of what is at an address.

    Raises:
        OSError: the cache cannot be written to.
        SpecError: see ``address.checked``.
    """
    if not is_address(place):
        return Path(place)
    address = checked(str(place))
    plain = re.sub(r"[^A-Za-z0-9]+", "-", address)[:60]
    digest = hashlib.sha256(address.encode()).hexdigest()[:8]
    root = cache_folder().absolute() / "storage" / f"{plain}-{digest}"
    if _address_in(root) != address:
        root.mkdir(parents=True, exist_ok=True)
        write_bytes(root / _MARK, json.dumps({"address": address}).encode() + b"\n")
        _address_in.cache_clear()
    return root


def address_of_root(root: Path) -> str | None:
    """The address whose copy ``root`` is; none where it is a directory of its own."""
    return _address_in(root.absolute())


def address_of(directory: Path) -> str | None:
    """The address whose copy ``directory`` is, a run or what else lies in a root."""
    root = _address_in(directory.absolute().parent)
    return None if root is None else f"{root}/{directory.name}"


def name_of(path: Path) -> str:
    """What people call a directory or a file: its address where it is a copy, else its path."""
    whole = path.absolute()
    for root in (whole, *whole.parents):
        address = _address_in(root)
        if address is not None:
            inside = whole.relative_to(root).as_posix()
            return address if inside == "." else f"{address}/{inside}"
    return str(path)


def teachers_in(root: Path) -> Place:
    """Where the teachers of the runs in ``root`` are, for workers on any node."""
    address = address_of_root(root)
    return (root / TEACHERS).resolve() if address is None else f"{address}/{TEACHERS}"


@lru_cache(maxsize=1024)
def _address_in(root: Path) -> str | None:
    if root.parent.name != "storage":
        return None
    try:
        return checked(str(json.loads((root / _MARK).read_bytes())["address"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None
