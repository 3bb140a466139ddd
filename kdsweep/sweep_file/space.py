"""The space of a sweep file alone, for whoever reads a run later and elsewhere."""

from kdsweep.errors import SpecError
from kdsweep.spec import Space
from kdsweep.spec.space_parse import parse_entries
from kdsweep.sweep_file.read import parse_yaml


def space_of(sweep_text: str) -> Space:
    """The space of a sweep file; nothing that it names is looked for or built.

    Raises:
        SpecError: it is no YAML, or its ``space`` is none.
    """
    raw, problems = parse_yaml(sweep_text)
    entries, wrong = parse_entries(raw.get("space") or {})
    if problems or wrong:
        raise SpecError([*problems, *wrong])
    return Space(entries)
