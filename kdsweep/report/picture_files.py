"""The front and the pictures of a sweep as files in its run directory."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from kdsweep.errors import ResultError, SpecError
from kdsweep.report.html import picture_page
from kdsweep.report.pictures import PICTURES, Drawn, Importance, SweepView, draw
from kdsweep.report.rows import csv_text
from kdsweep.results.names import PICTURES as FOLDER
from kdsweep.results.noise import validation_examples
from kdsweep.results.places import read_own, refuse_link
from kdsweep.results.record import TrialResult
from kdsweep.results.store import RunStore
from kdsweep.spec import Space
from kdsweep.storage.atomic import write_files


def picture_files(store: RunStore) -> list[Path]:
    """The files of the front and of the pictures that there are, for whoever sends them on.

    ``front.csv`` and ``front.png``, then those of the folder ``pictures``; no link is among them.
    """
    directory = store.directory
    folder = directory / FOLDER
    names = [directory / "front.csv", directory / "front.png"]
    if not folder.is_symlink():
        names += [folder / f"{name}.{kind}" for name in PICTURES for kind in ("html", "png")]
    return [path for path in names if path.is_file() and not path.is_symlink()]


def write_pictures(
    store: RunStore,
    results: Sequence[TrialResult],
    front: Sequence[TrialResult],
    importance: Importance | None,
) -> list[Path]:
    """Write ``front.csv``, ``front.png`` and ``pictures/NAME.html`` and ``.png``; what is there.

    Each file is replaced whole or not at all, and left alone where it would stay the same. A
    picture of which there is nothing to show any more is removed; that of importance stays where
    ``importance`` is none, since not everybody who writes the others can compute it.

    Raises:
        OSError: the directory cannot be written to.
        ResultError: the folder of the pictures is a link.
    """
    return write_drawn(store, front, draw(view_of(store, results, front, importance)))


def write_drawn(
    store: RunStore, front: Sequence[TrialResult], drawn: Mapping[str, Drawn]
) -> list[Path]:
    """The same with pictures that are drawn already, see ``write_pictures``."""
    refuse_link(store.directory / FOLDER)
    write_front_table(store, front)
    contents: dict[str, bytes] = {}
    for name in PICTURES:
        if (each := drawn.get(name)) is None:
            if name != "importance":
                _remove(store, name)
            continue
        title = f"{store.meta.name}: {each.title[0].lower()}{each.title[1:]}"
        page = picture_page(name, title, each.caption, each.figure)
        contents |= {f"{name}.png": each.png, f"{name}.html": page}
        if name == "front":
            _write(store, "", {"front.png": each.png})
    if contents:
        (store.directory / FOLDER).mkdir(exist_ok=True)
        _write(store, FOLDER, contents)
    return picture_files(store)


def write_front_table(store: RunStore, front: Sequence[TrialResult]) -> None:
    """Write ``front.csv`` alone, which takes no time.

    Raises:
        OSError: the directory cannot be written to.
    """
    examples = validation_examples(store.meta, front)
    _write(store, "", {"front.csv": csv_text(front, examples).encode()})


def view_of(
    store: RunStore,
    results: Sequence[TrialResult],
    front: Sequence[TrialResult],
    importance: Importance | None,
) -> SweepView:
    """The sweep for its pictures; epochs of the front that a driver does not keep are read."""
    wanted = {trial_id for result in front for trial_id in result.trial_ids}
    missing = [r.trial_id for r in results if r.trial_id in wanted and not r.epochs]
    whole: dict[str, TrialResult] = {}
    for trial_id in missing:
        # A damaged record is told of by whoever reads them all.
        with suppress(ResultError):
            whole |= {record.trial_id: record for record in store.read_some([trial_id])}
    filled = tuple(whole.get(result.trial_id, result) for result in results)
    return SweepView(store.meta, filled, tuple(front), importance, space_or_none(store))


def space_or_none(store: RunStore) -> Space | None:
    """What a sweep searched; none where its file cannot be read."""
    # Of torch, which whoever draws many pictures has loaded.
    from kdsweep.sweep_file.space import space_of

    # Axes are scaled by what the students have where the file does not tell.
    with suppress(SpecError, ResultError):
        return space_of(store.sweep_text)
    return None


def _write(store: RunStore, folder: str, contents: Mapping[str, bytes]) -> None:
    directory = store.directory / folder
    new = {name: c for name, c in contents.items() if not _is(directory / name, c)}
    if new:
        write_files(directory, new)
        store.sent(*(f"{folder}/{name}" if folder else name for name in new))


def _is(path: Path, content: bytes) -> bool:
    try:
        return read_own(path) == content
    except OSError:
        return False


def _remove(store: RunStore, name: str) -> None:
    paths = [store.directory / FOLDER / f"{name}.{kind}" for kind in ("html", "png")]
    for path in [*paths, *([store.directory / "front.png"] if name == "front" else [])]:
        path.unlink(missing_ok=True)
