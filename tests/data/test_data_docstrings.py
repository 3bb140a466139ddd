import os
import sysconfig
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional as F

from kdsweep.batch import Tokens
from kdsweep.data.docstrings import Docstrings, by_module
from kdsweep.data.text import docstring_sources
from kdsweep.data.text.docstring_sources import SUBJECTS, Docstring, docstrings
from kdsweep.errors import SpecError

CPU = torch.device("cpu")
NAMES = tuple(sorted(SUBJECTS))


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """One for all tests of this file."""
    monkeypatch.setenv("KDSWEEP_CACHE", str(tmp_path_factory.getbasetemp() / "docstrings"))


def params(**settings: object) -> Docstrings.Params:
    return Docstrings.Params(**settings)


def found_and_labels() -> tuple[list[Docstring], np.ndarray]:
    found = docstrings(NAMES)
    return found, np.array([NAMES.index(each.subject) for each in found], np.int64)


def test_thousands_of_texts_in_nine_classes() -> None:
    found, labels = found_and_labels()
    assert 3_000 < len(found) < 6_000
    assert len(NAMES) == 9
    assert min(np.bincount(labels)) > 200
    assert max(np.bincount(labels)) < len(found) / 4
    assert all(len(each.text.split()) >= 4 for each in found)


def test_no_text_is_there_twice() -> None:
    plain = [" ".join(each.text.lower().split()) for each in docstrings(NAMES)]
    assert len(set(plain)) == len(plain)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_modules_stay_whole_and_shares_are_kept(seed: int) -> None:
    found, labels = found_and_labels()
    cut = by_module(found, labels, params(split_seed=seed), NAMES)
    parts = (cut.train, cut.validation, cut.test)
    assert sum(map(len, parts)) == len(found)
    modules = [{found[position].module for position in part} for part in parts]
    assert not modules[0] & modules[1]
    assert not (modules[0] | modules[1]) & modules[2]
    for label in range(len(NAMES)):
        whole = (labels == label).sum()
        for part in parts[1:]:
            assert (labels[part] == label).sum() / whole == pytest.approx(0.2, abs=0.05)


def test_what_is_loaded() -> None:
    splits = Docstrings(params()).load(CPU)
    assert splits.info == Docstrings(params()).describe()
    assert splits.info.class_names == NAMES
    assert splits.info.shape == Tokens(length=64, vocabulary=4000)
    assert splits.num_views == 1
    for split, least in ((splits.train, 1800), (splits.validation, 600), (splits.test, 600)):
        assert split.num_samples > least
        (batch,) = split.in_order(batch_size=split.num_samples)
        assert batch.tokens.shape == (split.num_samples, 64)
        assert (batch.tokens[:, 0] == 2).all()
        ends = batch.tokens.gather(1, (batch.tokens != 0).sum(1, keepdim=True) - 1)
        assert (ends == 3).all()
        # With a vocabulary of its own nearly nothing is unknown.
        assert (batch.tokens == 1).sum() < 0.001 * (batch.tokens != 0).sum()


def test_no_row_is_in_two_splits_however_short_texts_are_cut() -> None:
    splits = Docstrings(params(length=8, classes=["asyncio", "concurrency", "web"])).load(CPU)
    rows = []
    for split in (splits.train, splits.validation, splits.test):
        (batch,) = split.in_order(batch_size=split.num_samples)
        rows.append({tuple(row) for row in batch.tokens.tolist()})
    assert not rows[0] & rows[1]
    assert not (rows[0] | rows[1]) & rows[2]
    whole = Docstrings(params(length=64, classes=["asyncio", "concurrency", "web"])).load(CPU)
    assert whole.train.num_samples > splits.train.num_samples


def test_limit_and_classes() -> None:
    splits = Docstrings(params(limit=90, classes=["mail", "files"])).load(CPU)
    assert splits.info.class_names == ("files", "mail")
    assert 80 <= splits.train.num_samples <= 90
    assert splits.train.labels.unique().tolist() == [0, 1]
    assert splits.validation.num_samples > 100
    with pytest.raises(ValidationError, match="no subject named 'male'; did you mean 'mail'"):
        params(classes=["male", "web"])
    with pytest.raises(ValidationError, match="two different subjects"):
        params(classes=["web", "web"])


def test_a_classifier_learns_it() -> None:
    """A bag of words, a few seconds: far better on unseen modules than the largest class."""
    splits = Docstrings(params()).load(CPU)
    torch.manual_seed(0)
    words = nn.EmbeddingBag(4000, 64, padding_idx=0, mode="mean")
    head = nn.Linear(64, 9)
    optimizer = torch.optim.Adam([*words.parameters(), *head.parameters()], lr=0.01)
    for epoch in range(12):
        for batch in splits.train.shuffled(batch_size=128, epoch=epoch, seed=0):
            optimizer.zero_grad()
            F.cross_entropy(head(words(batch.tokens)), batch.labels).backward()
            optimizer.step()
    (held_out,) = splits.validation.in_order(batch_size=splits.validation.num_samples)
    with torch.no_grad():
        accuracy = (head(words(held_out.tokens)).argmax(1) == held_out.labels).float().mean()
    largest = held_out.labels.bincount().max() / len(held_out)
    assert largest < 0.2
    assert accuracy > 0.35


SOURCES = {
    "asyncio/__init__.py": '"""The package of this name has a docstring."""\nraise SystemExit',
    "asyncio/events.py": '''
"""What happens in a loop of events."""
class Loop:
    """A loop that runs until it stops."""
    async def run(self):
        """Run the loop until it is empty."""
        def inner():
            """An inner function may be documented too."""
    def short(self):
        """Only three words."""
if True:
    try:
        def guarded():
            """Defined under a condition, and tried."""
    except Exception:
        def other():
            """Defined where something has gone wrong."""
value = "A string that documents nothing at all."
''',
    "asyncio/test/test_events.py": '"""A test that nobody should read here."""',
    "asyncio/notes.txt": "not a module, whatever it says",
    "http/client.py": '"""A LOOP that runs\n\n until it stops."""\n'
    'def get():\n    """Get what is at an address."""\n'
    'def put():\n    """Get what is at  an address."""',
    "ssl.py": '"""Wrap a socket so that nobody listens."""',
    "turtle.py": '"""A module of no subject whatever."""',
}


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """A small standard library in the place of this Python's; gives a way to write a module."""

    def write(name: str, content: str) -> None:
        path = tmp_path / "lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    for name, content in SOURCES.items():
        write(name, content)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / "lib"))
    monkeypatch.setenv("KDSWEEP_CACHE", str(tmp_path / "cache"))
    return write


def test_docstrings_by_hand(library: object) -> None:
    assert [(each.module, each.text) for each in docstrings(("asyncio", "web"))] == [
        ("asyncio", "The package of this name has a docstring."),
        ("asyncio.events", "What happens in a loop of events."),
        ("asyncio.events", "Run the loop until it is empty."),
        ("asyncio.events", "An inner function may be documented too."),
        ("asyncio.events", "Defined under a condition, and tried."),
        ("asyncio.events", "Defined where something has gone wrong."),
        ("http.client", "Get what is at an address."),
        ("ssl", "Wrap a socket so that nobody listens."),
    ]


def test_a_text_of_two_subjects_belongs_to_the_one_that_is_chosen(library: object) -> None:
    texts = Counter(each.text.split()[0] for each in docstrings(("asyncio",)))
    assert texts["A"] == 1


def test_sources_are_read_again_when_they_change(library: Callable[[str, str], None]) -> None:
    before = docstrings(("web",))
    library("ssl.py", '"""Wrap a socket so that somebody listens."""')
    after = docstrings(("web",))
    assert [one.text == two.text for one, two in zip(before, after, strict=True)] == [
        True, True, False,
    ]  # fmt: skip


def test_unchanged_sources_are_read_once(library: object, monkeypatch: pytest.MonkeyPatch) -> None:
    before = docstrings(("web",))
    monkeypatch.setattr(docstring_sources, "_texts", None)
    assert docstrings(("web",)) == before


def test_a_subject_without_sources_is_refused(library: object, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        Docstrings(params(classes=["asyncio", "mail", "markup"])).describe()
    assert caught.value.problems == (
        f"data.classes: this Python has no source files of mail, markup in {tmp_path / 'lib'}; "
        "choose other classes, or a Python with the whole standard library",
    )


def test_a_source_that_is_not_python_is_named(library: Callable[[str, str], None]) -> None:
    library("ssl.py", "def (")
    with pytest.raises(SpecError, match=rf"{os.sep}ssl\.py cannot be read as Python: invalid"):
        docstrings(("web",))


def test_other_texts_have_another_fingerprint(library: Callable[[str, str], None]) -> None:
    for number in range(30):
        library(f"asyncio/m{number}.py", f'"""Number {number} of the loops is here."""')
        library(f"http/m{number}.py", f'"""Number {number} of the pages is here."""')
    small = params(classes=["asyncio", "web"], tokenizer={"vocabulary": 100})
    first, again = (Docstrings(small).load(CPU).fingerprint for _ in range(2))
    library("asyncio/m3.py", '"""Number 33 of the loops is here."""')
    assert first == again != Docstrings(small).load(CPU).fingerprint
