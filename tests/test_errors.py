"""Which line an error is told by: that of the user's own code, wherever it was raised at last."""

import json

import pytest

from kdsweep.errors import SpecError, in_one_line, in_own_code, printable, whole_traceback


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A function: run a line in a module of the user's own, and what it raised."""
    monkeypatch.chdir(tmp_path)

    def raised(line, file="mine.py"):
        code = compile(f"def work():\n    {line}\n", str(tmp_path / file), "exec")
        namespace = {"__name__": "mine", "json": json}
        exec(code, namespace)
        with pytest.raises((KeyError, ValueError)) as caught:
            namespace["work"]()
        # Without the frames of the test, which is no part of the package either.
        return caught.value.with_traceback(caught.tb.tb_next)

    return raised


def test_the_innermost_place_in_own_code(own):
    assert in_one_line(own("{}['x']")) == "mine.py, line 2, in work: KeyError: 'x'"
    # Raised in the standard library, called from here.
    error = own("json.loads('{')")
    assert in_one_line(error).startswith("mine.py, line 2, in work: JSONDecodeError: Expecting")
    assert "json/decoder.py" in whole_traceback(error)
    assert in_own_code(error)


def test_a_message_is_one_line_of_limited_length(own):
    assert in_one_line(own("raise ValueError('a\\nb')")).endswith("work: ValueError: a")
    assert in_one_line(own("raise ValueError")).endswith("work: ValueError")
    assert len(in_one_line(own("raise ValueError('a' * 9000)"))) < 350


def test_a_file_elsewhere_has_its_whole_path(own, tmp_path):
    theirs = tmp_path.parent / "theirs.py"
    assert in_one_line(own("{}['x']", file=theirs)).startswith(f"{theirs}, line 2, in work")


def test_what_is_installed_is_not_ones_own_unless_it_is_named():
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads("{")
    error = caught.value.with_traceback(caught.tb.tb_next)
    assert not in_own_code(error)
    assert in_own_code(error, {"json"})
    # Told by the innermost place of all.
    assert "decoder.py, line" in in_one_line(error)


def test_code_of_the_package_is_not_ones_own():
    with pytest.raises(SpecError) as caught:
        raise SpecError("wrong")
    assert not in_own_code(caught.value.with_traceback(None))
    assert in_one_line(caught.value) == "SpecError: wrong"


def test_control_characters_are_spelled_out_but_for_line_ends_and_tabs():
    assert printable("a\x1b]0;pwn\x07\x00\x7f\x9b1m b") == r"a\x1b]0;pwn\x07\x00\x7f\x9b1m b"
    assert printable("one\ttwo\n50%\r100%\r\nß € 你") == "one\ttwo\n50%\n100%\nß € 你"
