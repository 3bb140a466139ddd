"""What a teacher said, on disk: made once, by all who need it together, made again if damaged."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from filelock import FileLock
from tiny_trials import CPU, VIEWS, Counting, counting, spec, splits_of, store_in, teacher
from torch import nn

from kdsweep.errors import TrialError
from kdsweep.spec import TrialSpec
from kdsweep.storage.shared import Shared
from kdsweep.train import output_store
from kdsweep.train.output_store import BATCH, OutputStore
from kdsweep.train.tables import DeviceTable
from kdsweep.train.teacher import Teacher

LAYER = "stages.1"


def whole() -> TrialSpec:
    """1,617 training samples in three views."""
    return spec(data={"limit": None, "augment": VIEWS})


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> int:
    """Blocks of two batches, so that these data make four of them; how many they are."""
    monkeypatch.setattr(output_store, "_LEAST_BLOCK", 2 * BATCH)
    return -(-splits_of(whole()).train.num_samples // (2 * BATCH))


def live(master: Teacher, view: int, layers: tuple[str, ...] = ()) -> list[torch.Tensor]:
    """Logits, then the layers, of all samples in a view."""
    split = splits_of(whole()).train
    found = [master.outputs(b, layers) for b in split.in_order(batch_size=BATCH, view=view)]
    each = [[o.logits, *o.features.values()] for o in found]
    return [torch.cat(parts) for parts in zip(*each, strict=True)]


def rows(store: OutputStore, view: int, layers: tuple[str, ...] = ()) -> list[torch.Tensor]:
    tables = store.view(view, layers, device=CPU)
    assert tables is not None
    every = torch.arange(store.split.num_samples)
    return [table.rows(every) for table in tables.values()]


def test_rows_are_those_of_the_live_teacher_in_float16_whatever_their_order(tmp_path, small_blocks):
    store = store_in(tmp_path, teacher(), whole())
    tables = store.view(2, (LAYER,), device=CPU)
    ids = torch.randperm(store.split.num_samples, generator=torch.Generator().manual_seed(3))[:200]
    for table, expected in zip(tables.values(), live(teacher(), 2, (LAYER,)), strict=True):
        found = table.rows(ids)
        assert found.dtype == torch.float32
        assert torch.equal(found, expected[ids].half().float())
    assert len(list(tmp_path.rglob("logits/*.f16"))) == small_blocks == 4


def test_a_set_of_one_block_is_read_alike(tmp_path):
    found = rows(store_in(tmp_path, teacher(), whole()), 1)
    assert torch.equal(found[0], live(teacher(), 1)[0].half().float())
    assert len(list(tmp_path.rglob("*.f16"))) == 1


def test_raw_logits_are_stored_with_a_card_that_vouches_for_them(tmp_path):
    rows(store_in(tmp_path, teacher(), whole()), 0)
    (data,), (card,) = tmp_path.rglob("*.f16"), tmp_path.rglob("*.json")
    said = json.loads(card.read_text())
    num = splits_of(whole()).train.num_samples
    assert (said["shape"], said["dtype"], said["overflows"]) == ([num, 10], "<f2", False)
    logits = np.fromfile(data, "<f2").reshape(num, 10)
    assert torch.equal(torch.from_numpy(logits), live(teacher(), 0)[0].half())


def test_a_view_is_made_once_and_found_by_the_next_process(tmp_path, small_blocks):
    master = counting()
    first = store_in(tmp_path, master, whole())
    rows(first, 1)
    rows(first, 1)
    assert sum(master.asked) == first.split.num_samples
    assert set(master.asked[:-1]) == {BATCH}
    another = counting()
    assert torch.equal(rows(store_in(tmp_path, another, whole()), 1)[0], rows(first, 1)[0])
    assert another.asked == []


def test_all_that_is_missing_comes_from_one_forward_and_what_is_there_is_left(tmp_path):
    master = counting()
    num = splits_of(whole()).train.num_samples
    rows(store_in(tmp_path, master, whole()), 0, (LAYER, "stages.0"))
    assert sum(master.asked) == num
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.f16")}
    rows(store_in(tmp_path, master, whole()), 0, ("stages.0", "pool"))
    assert sum(master.asked) == 2 * num
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert {path.parent.name for path in tmp_path.rglob("*.f16")} == {
        "logits", "layer-stages.0", "layer-stages.1", "layer-pool",
    }  # fmt: skip


def test_a_block_is_made_with_all_that_others_will_ask_for(tmp_path):
    master = counting()
    split = splits_of(whole()).train
    store = OutputStore(Shared(tmp_path), "weights", master, split, (LAYER, "stages.0"))
    rows(store, 0)
    assert sum(master.asked) == split.num_samples
    found = rows(store, 0, ("stages.0", LAYER))
    assert sum(master.asked) == split.num_samples
    for one, expected in zip(found, live(teacher(), 0, ("stages.0", LAYER)), strict=True):
        assert torch.equal(one, expected.half().float())
    # What was there before is not made again for what others may ask for later.
    another = counting()
    rows(store_in(tmp_path, teacher(), whole()), 1)
    rows(OutputStore(Shared(tmp_path), "weights", another, split, (LAYER,)), 1)
    assert another.asked == []


def test_other_weights_have_other_outputs(tmp_path):
    split = splits_of(whole()).train
    for key in ("one", "two", "one"):
        OutputStore(Shared(tmp_path), key, teacher(), split).view(0, (), device=CPU)
    assert len(list(tmp_path.iterdir())) == 2


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


def no_card(path: Path) -> None:
    path.with_suffix(".json").unlink()


def half_a_card(path: Path) -> None:
    card = path.with_suffix(".json")
    card.write_text(card.read_text()[:20])


def other_rows(path: Path) -> None:
    card = path.with_suffix(".json")
    said = json.loads(card.read_text())
    card.write_text(json.dumps({**said, "shape": [said["shape"][0] * 2, 5]}))


@pytest.mark.parametrize(
    "damage", [flip_a_bit, cut_short, Path.unlink, no_card, half_a_card, other_rows]
)
def test_a_block_that_is_not_as_its_card_says_is_made_again(damage, tmp_path, small_blocks):
    expected = rows(store_in(tmp_path, teacher(), whole()), 0)[0].clone()
    damage(sorted(tmp_path.rglob("*.f16"))[1])
    master = counting()
    assert torch.equal(rows(store_in(tmp_path, master, whole()), 0)[0], expected)
    assert master.asked == [BATCH, BATCH]
    again = counting()
    rows(store_in(tmp_path, again, whole()), 0)
    assert again.asked == []


def test_what_a_process_that_died_left_half_written_is_no_block_and_is_cleared_away(tmp_path):
    store = store_in(tmp_path, teacher(), whole())
    folder = store.directory / "view-00000" / "logits"
    folder.mkdir(parents=True)
    left = folder / ".000.0123456789ab.new"
    left.write_bytes(b"half")
    assert torch.equal(rows(store, 0)[0], live(teacher(), 0)[0].half().float())
    assert not left.exists()


def test_a_forward_that_fails_leaves_nothing_behind(tmp_path):
    class Fails(Teacher):
        def outputs(self, *args: Any, **kwargs: Any) -> Any:
            raise ZeroDivisionError

    store = store_in(tmp_path, Fails(teacher().network, digest="", accuracy=0.0), whole())
    with pytest.raises(ZeroDivisionError):
        store.view(0, (), device=CPU)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} <= {".lock"}
    assert store_in(tmp_path, teacher(), whole()).view(0, (), device=CPU) is not None


class Scaled(nn.Module):
    """Logits of a chosen size."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.inner, self.factor = teacher().network, factor

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.inner(images) * self.factor
        return logits


def test_values_that_do_not_fit_float16_are_noted_and_not_stored(tmp_path):
    first, second = Counting(Scaled(1e7)), Counting(Scaled(1e7))
    assert store_in(tmp_path, first, whole()).view(0, (), device=CPU) is None
    assert list(tmp_path.rglob("*.f16")) == []
    # The next process reads that from the card, and asks nobody.
    assert store_in(tmp_path, second, whole()).view(0, (), device=CPU) is None
    assert sum(first.asked) == splits_of(whole()).train.num_samples
    assert second.asked == []


def test_infinite_values_are_stored_as_they_are(tmp_path):
    class Masked(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits = images.flatten(1)[:, :3].clone()
            logits[:, 0] = -torch.inf
            return logits

    store = store_in(tmp_path, Teacher(Masked(), digest="", accuracy=0.0), whole())
    assert rows(store, 0)[0][:, 0].eq(-torch.inf).all()


def test_an_output_without_a_row_for_each_example_is_refused(tmp_path):
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.turn = nn.Flatten(0)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            self.turn(images)
            return images.flatten(1)

    store = store_in(tmp_path, Teacher(Turned(), digest="", accuracy=0.0), whole())
    with pytest.raises(TrialError, match=r"at 'turn' for 256 examples: what has not one row for "):
        store.view(0, ("turn",), device=CPU)


def test_a_directory_that_cannot_be_written_is_told_with_what_to_do(tmp_path):
    (tmp_path / "outputs").write_text("a file")
    store = store_in(tmp_path / "outputs", teacher(), whole())
    with pytest.raises(OSError, match=r"cannot be stored in .*: make room there, or set teacher\."):
        store.view(0, (), device=CPU)


def test_while_another_makes_a_block_those_that_are_free_are_made(tmp_path, small_blocks):
    """Of this view first, then of the views to come; then it waits for the other."""
    master = counting()
    store = store_in(tmp_path, master, whole())
    folder = store.directory / "view-00001"
    folder.mkdir(parents=True)
    held, made = threading.Event(), threading.Event()

    def hold() -> None:
        with FileLock(folder / "001.lock"):
            held.set()
            made.wait(60)

    other = threading.Thread(target=hold)
    other.start()
    held.wait(60)
    seen: list[set[str]] = []
    help_with = store._help

    def watched(view: int, outputs: Any) -> bool:
        helped = help_with(view, outputs)
        if not helped:
            seen.append({f"{p.parts[-3]}/{p.stem}" for p in tmp_path.rglob("*.json")})
            made.set()
        return helped

    store._help = watched  # type: ignore[method-assign]
    assert store.view(1, (), device=CPU, ahead=(2,)) is not None
    other.join()
    of_later = {f"view-00002/{n:03d}" for n in range(small_blocks)}
    assert seen[0] == of_later | {f"view-00001/{n:03d}" for n in (0, 2, 3)}
    assert sum(master.asked) == 2 * store.split.num_samples


def make_views(rank: int, folder: Path) -> None:
    """One of several processes that all want the same views."""
    torch.set_num_threads(1)
    output_store._LEAST_BLOCK = 2 * BATCH  # type: ignore[misc]
    master = counting()
    store = store_in(folder, master, whole())
    found = [rows(store, view) for view in (0, 1, 2)]
    torch.save((master.asked, found), folder / f"{rank}.pt")


def test_processes_that_want_the_same_make_each_block_once(tmp_path):
    mp.spawn(make_views, (tmp_path,), nprocs=2)
    each = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    asked = [samples for asked, _ in each for samples in asked]
    assert sum(asked) == 3 * splits_of(whole()).train.num_samples
    for view in (0, 1, 2):
        expected = live(teacher(), view)[0].half().float()
        assert all(torch.equal(found[view][0], expected) for _, found in each)


def test_blocks_grow_with_the_data_so_that_files_stay_few():
    sizes = {n: output_store._block_size(n) for n in (1000, 50_000, 1_281_167)}
    assert sizes == {1000: 4096, 50_000: 4096, 1_281_167: 79 * BATCH}
    assert -(-1_281_167 // sizes[1_281_167]) == 64


def test_a_store_that_is_deleted_is_made_again_by_the_next_session(tmp_path):
    rows(store_in(tmp_path, teacher(), whole()), 0)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            os.unlink(path)
    master = counting()
    rows(store_in(tmp_path, master, whole()), 0)
    assert sum(master.asked) == splits_of(whole()).train.num_samples


def test_a_block_that_somebody_deletes_meanwhile_is_told(tmp_path, monkeypatch):
    store = store_in(tmp_path, teacher(), whole())
    monkeypatch.setattr(store, "_make_view", lambda view, outputs, ahead: None)
    with pytest.raises(TrialError, match=r"000 is gone again: teachers may be deleted only when "):
        store.view(0, (), device=CPU)


@pytest.mark.parametrize(("room", "kept"), [(2, 2), (3, 3), (1, 0)])
def test_tables_of_the_last_views_are_kept_on_the_device_where_they_have_room(
    room, kept, tmp_path, small_blocks, monkeypatch
):
    """Two outputs of each view; ``room`` is for so many tables."""
    store = store_in(tmp_path, teacher(), whole())
    monkeypatch.setattr(output_store, "LARGEST_TABLES_BYTES", 0)
    ids = torch.tensor([5, 1600, 0, 900])
    for view in range(3):
        mapped = store.view(view, ("classifier",), device=CPU)
        each = mapped[""].num_bytes
        assert each == mapped["classifier"].num_bytes == store.split.num_samples * 10 * 2
        monkeypatch.setattr(output_store, "LARGEST_TABLES_BYTES", room * each)
        # What a device gets is the same in the memory of the host.
        for name, table in store._moved(view, mapped, CPU).items():
            assert isinstance(table, DeviceTable) == bool(kept)
            assert torch.equal(table.rows(ids), mapped[name].rows(ids))
    assert len(store._on_device) == kept
    assert {2} <= {view for view, _ in store._on_device} or not kept
