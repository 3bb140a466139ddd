"""What a notebook gives to the methods of a sweep, refused in a sentence where it cannot be."""

import os
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

from kdsweep.errors import ResultError
from kdsweep.results.select import PREFERENCES

if TYPE_CHECKING:
    import torch


def path_given(given: Any, *, what: str, example: str) -> str:
    """A path or an address as text, ``~`` put in; ``what`` and ``example`` are for the refusal.

    Raises:
        ResultError: it is neither a text nor a path.
    """
    if isinstance(given, str | os.PathLike):
        text = os.fspath(given)
        if isinstance(text, str) and text.strip():
            return os.path.expanduser(text)
    raise ResultError(f"{short(given)} is no {what}: give a path or an address, as {example!r}")


def names_given(given: Any, *, what: str, example: str) -> tuple[str, ...]:
    """One name, or several in a list or a tuple.

    Raises:
        ResultError: it is neither.
    """
    names = (given,) if isinstance(given, str) else given
    if isinstance(names, Sequence) and all(isinstance(name, str) for name in names):
        return tuple(names)
    raise ResultError(f"{short(given)} is no {what}: give {example!r}, or a list of names")


def device_given(given: Any) -> "torch.device":
    """A device of torch that this machine may have.

    Raises:
        ResultError: torch knows none of that name, or it is not on this machine.
    """
    import torch

    try:
        device = torch.device(given)
        torch.empty(0, device=device)
    except (RuntimeError, TypeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ResultError(
            f"device={short(given)} cannot be used here ({reason}): give 'cpu', or 'cuda' on a "
            "machine that has one"
        ) from None
    return device


def check_asked(prefer: Any, limits: Mapping[str, Any], shares: Mapping[str, Any]) -> None:
    """Check what ``select`` is asked for, as the command line does for its options.

    Raises:
        ResultError: ``prefer`` is unknown, a limit is no number, or a share of accuracy is not
            within 0 to 1.
    """
    problems = []
    for name, value in {**limits, **shares}.items():
        if value is None:
            continue
        if not isinstance(value, Real) or isinstance(value, bool):
            problems.append(f"{name}={short(value)} is not allowed: must be a number, or None")
        elif name in limits and float(value) < 0:
            problems.append(f"{name}={float(value):g} is not allowed: must not be negative")
        elif name in shares and not 0 <= float(value) <= 1:
            allowed = "must be from 0 to 1 (95% is 0.95)"
            problems.append(f"{name}={float(value):g} is not allowed: {allowed}")
    if not isinstance(prefer, str) or prefer not in PREFERENCES:
        known = ", ".join(PREFERENCES)
        problems.append(f"prefer={short(prefer)} is not allowed (allowed: {known})")
    if problems:
        raise ResultError(problems)


def short(given: Any) -> str:
    """What was given as Python writes it, in 60 characters at most."""
    text = " ".join(repr(given).split())
    return text if len(text) <= 60 else text[:57] + "..."
