"""What the letters in the names of trials stand for, in docs/glossary.md and in ``check``."""

import re
from pathlib import Path

from kdsweep.report.labels import SIZES, key_of_names, trial_name

GLOSSARY = Path(__file__).parent.parent.parent / "docs" / "glossary.md"
ROW = re.compile(r"^\| `([a-zT])([\d.]+)` \| (student|strategy) \| `(\w+)`", re.MULTILINE)


def test_the_glossary_has_every_letter():
    rows = ROW.findall(GLOSSARY.read_text(encoding="utf-8"))
    assert {setting for _, _, whose, setting in rows if whose == "student"} == set(SIZES)
    for letter, value, whose, setting in rows:
        trial = {"student": {"name": "cnn"}, "strategy": {"name": "kd"}}
        trial[whose][setting] = float(value) if whose == "strategy" else int(value)
        assert trial_name(trial) == f"kd {letter}{value}"
    assert len(rows) == len(SIZES) + 3


def test_the_example_of_the_glossary_is_such_a_name():
    student = {"name": "cnn", "width": 8, "depth": 1, "stages": 1, "hidden": 16}
    trial = {"student": student, "strategy": {"name": "kd", "temperature": 4.0, "alpha": 0.1}}
    assert f"`{trial_name(trial)}` is" in GLOSSARY.read_text(encoding="utf-8")
    assert key_of_names(trial, ()) == (
        "kd w8 d1 s1 h16 T4 a0.1: strategy, width, depth, stages, hidden, temperature, alpha"
    )
    # What all students have in common is in no name.
    assert key_of_names(trial, ("student.width",)) == (
        "kd w8 T4 a0.1: strategy, width, temperature, alpha"
    )


def test_of_a_class_of_ones_own_the_settings_have_their_names():
    trial = {"student": {"name": "net:Small", "size": 4, "width": 2}, "strategy": {"name": "none"}}
    assert key_of_names(trial, ()) == "none size=4 width=2: strategy"
