"""Records that cannot be read: what is wrong with them, and what ``run.json`` was before."""

import os
import uuid
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from kdsweep.results.meta import RunMeta
from kdsweep.results.names import META_FILE

_BEFORE = f".{META_FILE}.before"


def keep_before(directory: Path) -> None:
    """The version of ``run.json`` that is about to be replaced, under another name."""
    link = directory / f"{_BEFORE}.{uuid.uuid4().hex[:12]}.new"
    # A file system without links has only the newest.
    with suppress(OSError):
        os.link(directory / META_FILE, link)
        os.replace(link, directory / _BEFORE)


def meta_before(directory: Path) -> RunMeta | None:
    """That version, if there is one that can be read."""
    try:
        return RunMeta.model_validate_json((directory / _BEFORE).read_bytes())
    except (OSError, ValidationError):
        return None


def is_of_another_version(error: ValidationError) -> bool:
    """Whether a record is as another version of kdsweep writes it, which is no damage."""
    return any(each["loc"] == ("schema_version",) for each in error.errors(include_url=False))


def damage(error: ValidationError) -> str:
    """What is wrong with a record, in a clause."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if where == "schema_version":
        return "was written by another version of kdsweep; read it with that one"
    return f"is damaged: {where + ': ' if where else ''}{first['msg']}"
