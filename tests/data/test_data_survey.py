"""What a data set says of its files before anything is trained: the same as loading says."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from kdsweep.data import image_folder
from kdsweep.data.digits import Digits
from kdsweep.data.image_folder import ImageFolder
from kdsweep.data.survey import Survey
from kdsweep.data.text_files import TextFiles
from kdsweep.data.torchvision import Torchvision
from kdsweep.errors import SpecError

CPU = torch.device("cpu")
GIVEN = {"mean": (0.5, 0.5, 0.5), "std": (0.3, 0.3, 0.3)}


def fill(folder: Path, num: int) -> None:
    folder.mkdir(parents=True)
    for k in range(num):
        Image.fromarray(np.full((8, 8, 3), k, np.uint8)).save(folder / f"{k}.png")


def folders(path: Path, **settings: object) -> ImageFolder:
    return ImageFolder(ImageFolder.Params(path=str(path), size=8, **settings))


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    for name, num in (("rose", 10), ("aster", 20), ("iris", 5)):
        fill(tmp_path / name, num)
    return tmp_path


def refused(data: ImageFolder) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the survey has against the files, and what loading has."""
    with pytest.raises(SpecError) as surveyed:
        data.survey()
    with pytest.raises(SpecError) as loaded:
        data.load(CPU)
    return surveyed.value.problems, loaded.value.problems


@pytest.mark.parametrize("settings", [{}, {"limit": 9}, {"validation": 0.4, "split_seed": 3}])
def test_counts_are_those_of_what_is_loaded(flowers: Path, settings: dict[str, object]) -> None:
    survey = folders(flowers, **settings).survey()
    assert survey is not None
    assert survey.counts == folders(flowers, **settings).load(CPU).counts
    assert survey.num_opened == sum(survey.counts.values())


def test_counts_of_parts_as_they_lie(tmp_path: Path) -> None:
    for part, num in (("train", 6), ("val", 3), ("test", 2)):
        for name in ("a", "b"):
            fill(tmp_path / part / name, num)
    survey = folders(tmp_path).survey()
    assert survey == Survey({"train": 12, "validation": 6, "test": 4}, num_opened=22)
    assert survey.words == "train 12, validation 6, test 4"


def test_what_loading_refuses_is_refused_in_the_same_words(flowers: Path) -> None:
    (flowers / "empty").mkdir()
    fill(flowers / "__MACOSX" / "rose", 0)
    (flowers / "__MACOSX" / "rose" / "._1.png").write_bytes(b"\0\5\x16\7")
    surveyed, loaded = refused(folders(flowers))
    assert surveyed == loaded
    assert [problem.partition(";")[0] for problem in surveyed] == [
        f"data.path: {flowers / name} has no images" for name in ("__MACOSX", "empty")
    ]


def test_files_that_are_no_images_are_named_as_loading_names_them(flowers: Path) -> None:
    for number in (1, 2):
        (flowers / "rose" / f"{number}.png").write_text("junk")
    surveyed, loaded = refused(folders(flowers))
    assert sorted(surveyed) == [
        f"{flowers / 'rose' / f'{number}.png'} cannot be read as an image: its format is not "
        "known; mend it or remove it"
        for number in (1, 2)
    ]
    assert set(surveyed) >= set(loaded)  # which stops at the first part that has one


def test_too_few_of_a_class_to_be_split(flowers: Path) -> None:
    fill(flowers / "tulip", 2)
    surveyed, loaded = refused(folders(flowers))
    assert surveyed == loaded
    assert "class 'tulip' has too few samples to split (2)" in surveyed[0]


def test_of_many_files_a_sample_of_every_class_is_opened(
    flowers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    once = Image.open
    monkeypatch.setattr(image_folder, "_MOST_OPENED", 7)
    monkeypatch.setattr(Image, "open", lambda path: opened.append(path) or once(path))
    survey = folders(flowers).survey()
    assert survey is not None
    assert survey.num_opened == len(opened) == 7
    assert {Path(path).parent.name for path in opened} == {"rose", "aster", "iris"}
    assert survey.words == (
        "train 21, validation 7, test 7; of these 35 files 7, spread evenly over them, were opened "
        "to see whether they are images"
    )


def test_each_folder_is_listed_once_for_all_that_is_asked(
    flowers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(str(path)) or scandir(path))
    data = folders(flowers)
    data.extent()
    data.survey()
    assert listed.count(str(flowers / "rose")) == 1


def test_without_training_no_training_file_is_opened(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        for name in ("a", "b"):
            fill(tmp_path / part / name, 3)
    (tmp_path / "train" / "a" / "1.png").write_text("junk")
    data = folders(tmp_path, **GIVEN)
    survey = data.survey(training=False)
    assert survey == Survey({"validation": 6, "test": 6}, num_opened=12)
    (tmp_path / "test" / "a" / "1.png").write_text("junk")
    with pytest.raises(SpecError, match="cannot be read as an image"):
        data.survey(training=False)


def test_without_a_training_part_there_is_nothing_to_say_of_training(tmp_path: Path) -> None:
    for part in ("val", "test"):
        for name in ("a", "b"):
            fill(tmp_path / part / name, 2)
    assert folders(tmp_path, **GIVEN).survey() is None


def test_texts_and_torchvision_count_their_rows(tmp_path: Path) -> None:
    rows = [f"word {k},{label}" for k in range(10) for label in ("a", "b")]
    (tmp_path / "notes.csv").write_text("\n".join(["text,label", *rows]))
    texts = TextFiles(
        TextFiles.Params(
            path=str(tmp_path / "notes.csv"), length=8, tokenizer={"vocabulary": 100}, limit=4
        )
    )
    assert texts.survey() == Survey({"train": 4, "validation": 4, "test": 4})
    options = {"size": 60, "image_size": (3, 8, 8), "num_classes": 2}
    fake = Torchvision(Torchvision.Params(dataset="FakeData", options=options, limit=10))
    assert fake.survey().counts == fake.load(CPU).counts
    assert Digits(Digits.Params()).survey() is None


@pytest.mark.parametrize(("size", "limit"), [(0, "at least 1"), (5000, "at most 4096")])
def test_a_size_that_is_one_number_is_refused_once(size: int, limit: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ImageFolder.Params(path="x", size=size)
    (problem,) = caught.value.errors()
    assert (problem["loc"], problem["msg"]) == (
        ("size",),
        f"Value error, is not allowed: must be {limit}",
    )
