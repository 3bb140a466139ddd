import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kdsweep.data.cache import kept
from kdsweep.storage.copies import cache_folder


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDSWEEP_CACHE", str(tmp_path / "cache"))


class Maker:
    def __init__(self, content: bytes = b"made") -> None:
        self.content, self.calls = content, 0

    def __call__(self) -> bytes:
        self.calls += 1
        return self.content


def test_made_once_then_read() -> None:
    make = Maker()
    assert kept("a.json", make) == kept("a.json", make) == b"made"
    assert make.calls == 1
    assert kept("b.json", Maker(b"")) == b""
    assert kept("b.json", make) == b""


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-1], lambda data: data[:7], lambda data: b"", lambda data: data + b"x"],
)
def test_a_damaged_file_is_made_again(damage: object, caplog: pytest.LogCaptureFixture) -> None:
    kept("a.json", Maker())
    file = cache_folder() / "a.json"
    file.write_bytes(damage(file.read_bytes()))  # type: ignore[operator]
    with caplog.at_level(logging.WARNING):
        assert kept("a.json", Maker(b"again")) == b"again"
    assert "a.json does not match its checksum; it is made again" in caplog.text
    assert kept("a.json", Maker(b"a third time")) == b"again"


def test_one_makes_and_the_others_wait() -> None:
    make = Maker()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: kept("a.json", make), range(4))) == [b"made"] * 4
    assert make.calls == 1


def test_a_failure_leaves_nothing_behind() -> None:
    def fail() -> bytes:
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        kept("a.json", fail)
    assert [file for file in cache_folder().iterdir() if file.suffix != ".lock"] == []
    assert kept("a.json", Maker()) == b"made"
