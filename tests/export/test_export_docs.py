"""What docs/export.md prints runs as it stands, where there is no kdsweep."""

import re
from pathlib import Path

import pytest
from kept_students import AT_ONCE, kept, stranger

from kdsweep.export.files import FORMATS
from kdsweep.export.folder import Asked, export_student

TEXT = (Path(__file__).parent.parent.parent / "docs" / "export.md").read_text()
BLOCKS = re.findall(r"^```py\n(.*?)^```", TEXT, re.M | re.S)


def test_the_blocks_on_files_run_beside_the_export_that_they_name(tmp_path):
    store, result, _ = kept(tmp_path)
    out = tmp_path / "digits-student"
    export_student(store, result, Asked(FORMATS, out=out, patience=AT_ONCE))
    blocks = [block for block in BLOCKS if "digits-student/" in block]
    assert len(blocks) == len(FORMATS)
    stranger("\n".join(blocks), tmp_path)


def test_there_are_no_other_blocks_but_those_on_the_registry():
    """They run in tests/tracking/test_tracking_registry.py."""
    others = [block for block in BLOCKS if "digits-student/" not in block]
    assert len(others) == 2
    assert "models:/digits@chosen" in others[0]
    assert "images.csv" in others[1]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_a_section(name):
    assert f"## {'ONNX' if name == 'onnx' else name}\n" in TEXT
