import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from kdsweep.batch import Tokens
from kdsweep.data.text.rows import Columns, Rows, read_rows
from kdsweep.data.text_files import TextFiles
from kdsweep.errors import SpecError

CPU = torch.device("cpu")
WORDS = {"good": ["fine", "lovely", "great"], "bad": ["dull", "poor", "awful"]}
BOTH = Columns("text", "label")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDSWEEP_CACHE", str(tmp_path / "cache"))


def reviews(num: int = 40, start: int = 0) -> list[dict[str, str]]:
    """Short reviews, no two alike, of both kinds in turn."""
    return [
        {
            "text": f"the film, number {number}, was {WORDS[label][number % 3]}",
            "other": f"seen on day {number}",
            "label": label,
        }
        for number in range(start, start + num)
        for label in [("good", "bad")[number % 2]]
    ]


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path
    with path.open("w", newline="") as file:
        table = csv.DictWriter(
            file, list(rows[0]), delimiter={".csv": ",", ".tsv": "\t"}[path.suffix]
        )
        table.writeheader()
        table.writerows(rows)
    return path


def data(path: Any, **settings: Any) -> TextFiles:
    settings = {"length": 24, "tokenizer": {"vocabulary": 100}, **settings}
    return TextFiles(TextFiles.Params(path=path, **settings))


def problems(path: Path, columns: Columns = BOTH) -> list[str]:
    with pytest.raises(SpecError) as caught:
        read_rows(path, columns)
    return [problem.replace(str(path), path.name) for problem in caught.value.problems]


def rows_of(path: Path, content: str | bytes, columns: Columns = BOTH) -> Rows:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_rows(path, columns)


# Reading


def test_a_csv_file_by_hand(tmp_path: Path) -> None:
    content = '\ufefflabel,text,id\r\na,"one, ""two""\nthree",7\r\n\r\n b ,,8\r\n'
    rows = rows_of(tmp_path / "a.csv", content)
    assert rows.texts == ['one, "two"\nthree', ""]
    assert rows.labels == ["a", "b"]
    assert rows.lines == [3, 5]
    assert rows.where(1) == f"{tmp_path / 'a.csv'}, line 5"


def test_a_tsv_file_has_no_quotes(tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "a.tsv", 'text\tlabel\n"an open quote, and more\t1\nb" "\t0\n')
    assert rows.texts == ['"an open quote, and more', 'b" "']
    assert rows.labels == ["1", "0"]


def test_json_lines_by_hand(tmp_path: Path) -> None:
    content = '{"text": "one\\ntwo", "label": 1, "more": null}\n\n{"label": "x", "text": "é"}'
    rows = rows_of(tmp_path / "a.jsonl", content)
    assert rows.texts == ["one\ntwo", "é"]
    assert rows.labels == ["1", "x"]
    assert rows.lines == [1, 3]


def test_a_table_without_a_header_has_its_columns_named(tmp_path: Path) -> None:
    columns = Columns("body", "class", header=("class", "title", "body"))
    rows = rows_of(tmp_path / "a.csv", '"3","A title","The body"\n', columns)
    assert (rows.texts, rows.labels, rows.lines) == (["The body"], ["3"], [1])
    path = write(tmp_path / "a.jsonl", reviews(2))
    assert problems(path, columns) == [
        "data.columns: is not allowed with a.jsonl: JSON names the columns itself"
    ]


cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(cells, cells, st.sampled_from("ab")), min_size=1, max_size=8))
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_what_is_written_is_read(
    suffix: str, rows: list[tuple[str, str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("rows") / f"a{suffix}"
    names = ("one", "two", "label")
    if suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, quoting=csv.QUOTE_ALL)
            table.writerows([names, *rows])
    else:
        lines = [json.dumps(dict(zip(names, row, strict=True))) for row in rows]
        path.write_text("\n".join(lines))
    found = read_rows(path, Columns("one", "label", "two"))
    assert list(zip(found.texts, found.pairs, found.labels, strict=True)) == rows


# What is refused


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", ["data.path: a.csv has no rows"]),
        ("a.csv", b"text,label\n", ["data.path: a.csv has no rows"]),
        ("a.jsonl", b"\n\n", ["data.path: a.jsonl has no rows"]),
        ("a.txt", b"x", ["data.path: a.txt is of no known kind: its name must end in .csv, .tsv, "
                         ".jsonl, .ndjson, .json"]),
        ("a.csv", b"text,label\nx,1\ncaf\xe9,1\n",
         ["a.csv, line 3: byte 4 (0xe9) is not UTF-8: save the file as UTF-8"]),
        ("a.jsonl", b"\xff\xfe{\x00",
         ["a.jsonl, line 1: byte 1 (0xff) is not UTF-8: save the file as UTF-8"]),
        ("a.csv", b"txt,label,x,x\na,b,c,d\n",
         ["a.csv: has no column named 'text' (has: 'txt', 'label', 'x', 'x')"]),
        ("a.csv", b"text,label,text\na,b,c\n",
         ["a.csv: has more than one column named 'text' (has: 'text', 'label', 'text')"]),
        ("a.csv", b"text,label\na,b\nc\nd,e,f\n",
         ["a.csv, line 3: has 1 field, and there are 2 columns",
          "a.csv, line 4: has 3 fields, and there are 2 columns"]),
        ("a.csv", b"text,label\na, \n",
         ["a.csv, line 2: 'label' is ' ': a label must be a word or a whole number"]),
        ("a.jsonl", b'{"text": "a", "label": 1}\n{"text": }\n[1]\n{"text": "b"}\n',
         ["a.jsonl, line 2: is not JSON: Expecting value: line 1 column 10 (char 9); there must be "
          "one object a line",
          "a.jsonl, line 3: is no JSON object but a list: one object a line",
          "a.jsonl, line 4: has no 'label' (has: 'text')"]),
        ("a.jsonl", b'{"text": 7, "label": 1.5}\n{"text": "\\ud800", "label": null}\n',
         ["a.jsonl, line 1: 'text' is of type int: a text must be a string",
          "a.jsonl, line 1: 'label' is 1.5: a label must be a word or a whole number",
          "a.jsonl, line 2: 'text' has half of a surrogate pair: it is no text",
          "a.jsonl, line 2: 'label' is None: a label must be a word or a whole number"]),
    ],
)  # fmt: skip
def test_files_that_are_not_what_they_should_be(
    name: str, content: bytes, said: list[str], tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    assert problems(tmp_path / name) == said


def test_a_quote_that_is_not_closed_is_named(tmp_path: Path) -> None:
    for content, said in (
        ('text,label\n"never closed,1\nb,2\n', "a.csv, line 3: unexpected end of data (a quote"),
        ('text,label\n"a"b,1\n', "a.csv, line 2: ',' expected after '\"' (a quote"),
        ('text,label\n"' + "x" * 200_000 + '",1\n', "a.csv, line 2: field larger than field limit"),
    ):
        (tmp_path / "a.csv").write_text(content)
        (problem,) = problems(tmp_path / "a.csv")
        assert problem.startswith(said)


def test_json_too_deep_to_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("[" * 100_000)
    (problem,) = problems(tmp_path / "a.jsonl")
    assert problem.startswith("a.jsonl, line 1: is not JSON: maximum recursion depth")


def test_of_many_problems_the_first_twenty_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n" + "x\n" * 500)
    found = problems(tmp_path / "a.csv")
    assert len(found) == 21
    assert found[-1] == "a.csv: nothing is read after so many problems"


def test_missing_files_are_named_together(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        data({"train": str(tmp_path / "a.csv"), "test": str(tmp_path)}).describe()
    assert caught.value.problems == (
        f"data.path: {str(tmp_path / 'a.csv')!r} does not exist",
        f"data.path: {tmp_path} is of no known kind: its name must end in .csv, .tsv, .jsonl, "
        ".ndjson, .json",
    )


def test_one_label_is_no_classification(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [row for row in reviews() if row["label"] == "good"])
    with pytest.raises(SpecError, match=r"all 20 rows of .*a\.csv have the label 'good': there"):
        data(str(path)).describe()


def test_labels_that_train_has_not_are_named_by_line(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", reviews())
    other = write(tmp_path / "test.jsonl", [*reviews(2, 90), {**reviews(1)[0], "label": "so-so"}])
    with pytest.raises(SpecError) as caught:
        data({"train": str(train), "test": str(other)}).describe()
    assert caught.value.problems == (
        f"{other}, line 3: the label 'so-so' is not one of those of the training file",
    )
    with pytest.raises(SpecError, match=r"'so-so' is not one of those of data\.classes"):
        data({"train": str(train), "test": str(other)}, classes=["bad", "good"]).describe()
    with pytest.raises(SpecError, match=r"data\.classes: 'fair': no row of .* has this label"):
        data(str(train), classes=["bad", "good", "fair"]).describe()


def test_a_share_for_a_part_that_has_a_file_is_refused(tmp_path: Path) -> None:
    train, test = (write(tmp_path / f"{name}.csv", reviews()) for name in ("train", "test"))
    with pytest.raises(SpecError, match=r"data\.test: 0\.3 is not allowed: data\.path has a test"):
        data({"train": str(train), "test": str(test)}, test=0.3).describe()


def test_settings_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(ValidationError, match="must be different columns"):
        data("a.csv", text="x", pair="x")
    with pytest.raises(ValidationError, match="two different labels or more"):
        data("a.csv", classes=["x"])
    with pytest.raises(ValidationError, match=r"path\.train\n  Field required"):
        data({"test": "a.csv"})


# Loading


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_one_file_is_split_by_shares(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"all{suffix}", reviews(100))
    made = data(str(path), validation=0.1, test=0.3)
    splits = made.load(CPU)
    assert made.describe() == splits.info
    assert splits.info.class_names == ("bad", "good")
    assert splits.info.shape == Tokens(24, 100)
    parts = (splits.train, splits.validation, splits.test)
    assert [part.num_samples for part in parts] == [60, 10, 30]
    assert [part.labels.bincount().tolist() for part in parts] == [[30, 30], [5, 5], [15, 15]]


def test_files_of_their_own_are_taken_whole_and_in_order(tmp_path: Path) -> None:
    paths = {
        part: str(write(tmp_path / f"{part}{suffix}", reviews(num, start)))
        for part, suffix, num, start in (
            ("train", ".csv", 50, 0), ("validation", ".jsonl", 11, 50), ("test", ".tsv", 7, 61),
        )
    }  # fmt: skip
    splits = data(paths).load(CPU)
    parts = (splits.train, splits.validation, splits.test)
    assert [part.num_samples for part in parts] == [50, 11, 7]
    start = 0
    for part in parts:
        expected = [row["label"] == "good" for row in reviews(part.num_samples, start)]
        assert part.labels.tolist() == expected
        start += part.num_samples
    only_test = data({"train": paths["train"], "test": paths["test"]}, validation=0.2).load(CPU)
    assert (only_test.train.num_samples, only_test.validation.num_samples) == (40, 10)
    assert torch.equal(only_test.test.labels, splits.test.labels)


def test_texts_and_labels_stay_together(tmp_path: Path) -> None:
    """Good and bad reviews never share their last word."""
    splits = data(str(write(tmp_path / "a.csv", reviews(120))), limit=50).load(CPU)
    last: dict[int, set[int]] = {0: set(), 1: set()}
    assert splits.train.num_samples == 50
    for part in (splits.train, splits.validation, splits.test):
        for batch in part.shuffled(batch_size=16, epoch=0, seed=0):
            ends = (batch.tokens != 0).sum(1) - 2
            for row, end, label in zip(batch.tokens, ends, batch.labels, strict=True):
                last[int(label)].add(int(row[end]))
    assert last[0]
    assert not last[0] & last[1]


def test_pairs_are_joined(tmp_path: Path) -> None:
    path = str(write(tmp_path / "a.csv", reviews()))
    single, double = (data(path, pair=pair, length=40).load(CPU) for pair in (None, "other"))
    (one,), (two,) = (each.train.in_order(batch_size=99) for each in (single, double))
    assert ((one.tokens == 3).sum(1) == 1).all()
    assert ((two.tokens == 3).sum(1) == 2).all()
    assert single.fingerprint != double.fingerprint


def test_labels_are_sorted_as_numbers_where_they_are_numbers(tmp_path: Path) -> None:
    def names(*labels: str, classes: list[str] | None = None) -> tuple[str, ...]:
        rows = [{"text": f"t{k}", "label": label} for k, label in enumerate(labels * 4)]
        return data(str(write(tmp_path / "a.csv", rows)), classes=classes).describe().class_names

    assert names("10", "9", "-1") == ("-1", "9", "10")
    assert names("10", "9", "x") == ("10", "9", "x")
    assert names("no", "yes", classes=["yes", "no"]) == ("yes", "no")


def test_the_order_of_classes_is_that_of_the_labels(tmp_path: Path) -> None:
    path = str(write(tmp_path / "a.csv", reviews()))
    plain, turned = (data(path, classes=names).load(CPU) for names in (None, ["good", "bad"]))
    assert plain.info.class_names == turned.info.class_names[::-1]
    (one,), (other,) = (each.test.in_order(batch_size=99) for each in (plain, turned))
    assert one.labels.sum() == (1 - other.labels).sum()
    assert plain.fingerprint != turned.fingerprint


def test_a_class_that_cannot_be_split_is_found_before_anything_is_loaded(tmp_path: Path) -> None:
    rows = [*reviews(), {"text": "so so", "other": "", "label": "mixed"}]
    path = write(tmp_path / "reviews.csv", rows)
    with pytest.raises(SpecError) as caught:
        data(str(path)).describe()
    assert caught.value.problems == (
        "data: class 'mixed' has too few samples to split (1); it needs 3: one for each part",
    )
