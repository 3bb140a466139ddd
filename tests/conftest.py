"""What holds for every test, and what several rooms of them share."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """The networks of the tests are so small that threads cost more than they do."""
    # Tests of what needs no torch do not wait for it to be imported.
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def glyph_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that this run of the tests fills for itself: all glyphs are rendered once."""
    return tmp_path_factory.mktemp("glyphs")


_listeners: list[Callable[[str, tuple[Any, ...]], None]] = []


def _tell(event: str, given: tuple[Any, ...]) -> None:
    for listener in _listeners:
        listener(event, given)


class Opened:
    """The paths of all files that this process opens while it listens."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def __call__(self, event: str, given: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(given[0], str | bytes | os.PathLike):
            self.paths.append(os.fsdecode(given[0]))

    def below(self, folder: os.PathLike[str]) -> set[str]:
        """Those in a folder, relative to it."""
        start = os.path.join(folder, "")
        return {path.removeprefix(start) for path in self.paths if path.startswith(start)}


@pytest.fixture(scope="session")
def _audited() -> None:
    # Python itself reports each file that is opened, by whatever library; it never stops doing so.
    sys.addaudithook(_tell)


@pytest.fixture
def opened(_audited: None) -> Iterator[Opened]:
    """Every file that is opened from here on."""
    listener = Opened()
    _listeners.append(listener)
    yield listener
    _listeners.remove(listener)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Any]:
    """An object store that speaks S3."""
    from object_store import ObjectStore

    server = ObjectStore()
    yield server
    server.stop()


@pytest.fixture
def store_at(s3_server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The address of an empty place in it, and a cache of this test's own."""
    import uuid

    import fsspec

    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KDSWEEP_CACHE", str(tmp_path / "cache"))
    fsspec.filesystem("s3").makedirs("bucket", exist_ok=True)
    return f"s3://bucket/{uuid.uuid4().hex[:8]}"
