"""Whether data and teacher are still those that a sweep began with."""

from collections.abc import Mapping

from kdsweep.spec import TeacherSpec
from kdsweep.train.teacher_store import digest_of

_INSTEAD = (
    "put it back, or run the sweep under another name; --despite-changes goes on all the same"
)


WARM_START = "warm_start"
"""Among what is expected: the earlier sweep that it is of, where it is not the sweep's own."""


def changed_since(
    expected: Mapping[str, str], data: str, teacher: TeacherSpec | None
) -> tuple[str, ...]:
    """What is not as it was, a sentence each: of other data the teacher is another as well.

    ``expected`` has the fingerprint of the ``data``, the digest of the ``teacher``, and the
    ``advice`` on what to do, as far as they are known.
    """
    named = expected.get(WARM_START)
    if named is not None:
        return _unlike(named, expected, data, teacher)
    advice = expected.get("advice", _INSTEAD)
    if expected.get("data", data) != data:
        what = f"the data have changed since the sweep began: {expected['data'][:12]} became "
        return (f"{what}{data[:12]}; {advice}",)
    digest = None if teacher is None else digest_of(teacher, data=data)
    if digest is None or expected.get("teacher", digest) == digest:
        return ()
    what = f"the teacher has changed since the sweep began: {expected['teacher'][:12]} became "
    return (f"{what}{digest[:12]} (its weights, model or training); {advice}",)


def _unlike(
    earlier: str, expected: Mapping[str, str], data: str, teacher: TeacherSpec | None
) -> tuple[str, ...]:
    """How data or teacher differ from those of a sweep that was to be learned from."""
    if expected.get("data", data) != data:
        return (_other("data are", expected["data"], data, earlier),)
    digest = None if teacher is None else digest_of(teacher, data=data)
    if digest is None or expected.get("teacher", digest) == digest:
        return ()
    return (_other("teacher is", expected["teacher"], digest, earlier),)


def _other(what: str, there: str, here: str, earlier: str) -> str:
    return (
        f"search.warm_start: the {what} not as in {earlier} ({there[:12]} there, "
        f"{here[:12]} here): what was learned there does not hold here; take it out of warm_start"
    )
