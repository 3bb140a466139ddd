"""Whether data and teacher are still those that a sweep began with."""

from collections.abc import Mapping

from kdsweep.spec import TeacherSpec
from kdsweep.train.teacher_store import digest_of

_INSTEAD = (
    "put it back, or run the sweep under another name; --despite-changes goes on all the same"
)


def changed_since(
    expected: Mapping[str, str], data: str, teacher: TeacherSpec | None
) -> tuple[str, ...]:
    """What is not as it was, a sentence each: of other data the teacher is another as well."""
    if expected.get("data", data) != data:
        what = f"the data have changed since the sweep began: {expected['data'][:12]} became "
        return (f"{what}{data[:12]}; {_INSTEAD}",)
    digest = None if teacher is None else digest_of(teacher, data=data)
    if digest is None or expected.get("teacher", digest) == digest:
        return ()
    what = f"the teacher has changed since the sweep began: {expected['teacher'][:12]} became "
    return (f"{what}{digest[:12]} (its weights, model or training); {_INSTEAD}",)
