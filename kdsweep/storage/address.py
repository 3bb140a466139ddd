"""Addresses of object stores, ``s3://BUCKET/PATH`` and ``gs://BUCKET/PATH``, told from paths."""

import re
from importlib.util import find_spec
from pathlib import Path

from kdsweep.errors import SpecError, holds_secret

PROTOCOLS = {"s3": ("s3fs", "s3"), "gs": ("gcsfs", "gs")}
"""What an address may begin with: the package that speaks it, and the extra that brings it."""

Place = str | Path
"""A path, or an address as text."""

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_PART = re.compile(r"[^/\x00-\x1f\\?#*\[\]]+")


def is_address(place: Place) -> bool:
    """Whether ``place`` is of an object store rather than a path."""
    return isinstance(place, str) and _ADDRESS.match(place) is not None


def checked(address: str) -> str:
    """``address`` without a slash at its end.

    Raises:
        SpecError: it is of no store that is known, has no bucket, a password, or a part that could
            lead elsewhere; or the package for it is missing.
    """
    known = " or ".join(f"{protocol}://BUCKET/PATH" for protocol in PROTOCOLS)
    found = _ADDRESS.match(address)
    if found is None or found[1] not in PROTOCOLS:
        raise SpecError(f"{address!r} is not allowed: must be a path, or {known}")
    if holds_secret(address):
        raise SpecError(
            f"{address!r} is not allowed with a password or key in it: credentials come from the "
            "environment or from the machine's own role"
        )
    parts = found[2].rstrip("/").split("/")
    if any(part in ("", ".", "..") or not _PART.fullmatch(part) for part in parts):
        raise SpecError(
            f"{address!r} is not allowed: a bucket and names between single slashes are "
            f"({known}), none of them '..'"
        )
    package, extra = PROTOCOLS[found[1]]
    if find_spec(package) is None:
        raise SpecError(
            f"{address}: the package {package} is needed for it: "
            f"pip install 'kdsweep[{extra}]', on every node"
        )
    return f"{found[1]}://{'/'.join(parts)}"


def under(place: Place, *names: str) -> Place:
    """The place of that name in another."""
    if isinstance(place, Path):
        return place.joinpath(*names)
    return "/".join((place, *names)) if is_address(place) else str(Path(place, *names))


def place_of(text: str) -> Place:
    """The place that ``text`` names, as a type of its own: addresses stay text."""
    return text if is_address(text) else Path(text)
