import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kdsweep.data import glyph_cache
from kdsweep.data.glyph_cache import open_glyphs

Records = NDArray[np.void]


@pytest.fixture
def rendered(
    glyph_records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[Records]:
    """An empty cache; the list grows by one for every rendering."""
    calls: list[Records] = []

    def render() -> Records:
        calls.append(glyph_records[:300].copy())
        return calls[-1]

    monkeypatch.setenv("KDSWEEP_CACHE", str(tmp_path))
    monkeypatch.setattr(glyph_cache, "render", render)
    return calls


def the_file(folder: Path) -> Path:
    (found,) = folder.glob("glyphs-*.bin")
    return found


def test_rendered_once_then_mapped(rendered: list[Records], tmp_path: Path) -> None:
    first, second = open_glyphs(), open_glyphs()
    assert len(rendered) == 1
    assert isinstance(second, np.memmap)
    assert not second.flags.writeable
    assert np.array_equal(first, rendered[0])
    assert np.array_equal(second, rendered[0])
    assert {path.suffix for path in tmp_path.iterdir()} <= {".bin", ".lock"}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data[:-1], "has not the length that its head says"),
        (lambda data: data[:20], "is cut short"),
        (lambda data: b"", "is cut short"),
        (lambda data: b"x" + data[1:], "has not the length that its head says"),
        (lambda data: data[:5000] + bytes([data[5000] ^ 1]) + data[5001:], "its checksum"),
        (lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:], "its checksum"),
    ],
)
def test_a_damaged_file_is_rendered_again(
    damage: object,
    said: str,
    rendered: list[Records],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    open_glyphs()
    path = the_file(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))  # type: ignore[operator]
    with caplog.at_level(logging.WARNING):
        again = open_glyphs()
    assert len(rendered) == 2
    assert np.array_equal(again, rendered[0])
    assert path.read_bytes() == whole
    assert said in caplog.text
    assert "rendered again" in caplog.text


def test_one_renders_and_the_others_wait(rendered: list[Records]) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: open_glyphs(), range(4)))
    assert len(rendered) == 1
    assert all(np.array_equal(each, rendered[0]) for each in found)


def test_a_failed_rendering_leaves_nothing_behind(
    rendered: list[Records], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(glyph_cache.os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        open_glyphs()
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".lock"]


def test_the_name_follows_the_fonts(
    rendered: list[Records], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_glyphs()
    monkeypatch.setattr("kdsweep.data.glyph_render._RECIPE", 999)
    open_glyphs()
    assert len(rendered) == len(list(tmp_path.glob("glyphs-*.bin"))) == 2
