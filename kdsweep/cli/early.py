"""What is cheap to find is told first: to check a whole sweep file takes seconds to minutes."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from kdsweep.errors import SpecError

if TYPE_CHECKING:
    from kdsweep.storage.address import Place


def checking(what: object) -> None:
    """Say what takes a while, before it does."""
    typer.echo(f"checking {what}")


def check_cluster_option(address: str | None) -> None:
    """Check the form of ``--address``.

    Raises:
        SpecError: no Ray cluster has such an address.
    """
    from kdsweep.spec.surroundings import not_a_cluster

    if address is not None and (wrong := not_a_cluster(address)):
        raise SpecError(f"--address: {address!r} {wrong}")


def checked_name(name: str) -> str:
    """A run's name is a directory: it must not lead anywhere else.

    Raises:
        SpecError: it could.
    """
    from kdsweep.spec.surroundings import not_a_run

    if wrong := not_a_run(name):
        raise SpecError(f"--name: {name!r} {wrong}")
    return name


def said_in(text: str) -> dict[str, Any]:
    """The plain data of a sweep file; nothing where it cannot be read, which is told later."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        # The whole reader of sweep files would take seconds: it needs torch.
        found = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def check_place(file: Path, name: str | None, runs_dir: str | None, *, elsewhere: bool) -> None:
    """Check that the run of a sweep file can be made, as far as the file can be read at all.

    ``elsewhere``: on another machine, whose directories may not be seen from here.

    Raises:
        ResultError: something is there already, or it cannot be written to.
        SpecError: the name or the place is not allowed, or there is no such file.
    """
    from kdsweep.spec.surroundings import not_a_run

    if name is not None:
        checked_name(name)
    try:
        raw = said_in(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecError("no such file", source=file) from None
    except (OSError, ValueError):
        raw = {}
    storage = raw.get("storage")
    path = storage.get("path") if isinstance(storage, dict) else None
    name = raw.get("name") if name is None else name
    if isinstance(name, str) and isinstance(path, str | None) and not_a_run(name) is None:
        refuse_place(runs_dir or path or "runs", name, elsewhere=elsewhere)


def refuse_place(root: "Place", name: str, *, elsewhere: bool) -> None:
    """Refuse to make a run ``name`` in ``root`` where that cannot be.

    Raises:
        ResultError: something is there already, or it cannot be written to.
        SpecError: see ``address.checked``.
    """
    from kdsweep.results.places import refuse_what_is_there
    from kdsweep.storage.address import is_address
    from kdsweep.storage.copies import root_at_hand

    directory = root_at_hand(root) / name
    if not elsewhere or is_address(root) or directory.exists():
        refuse_what_is_there(directory, name)
