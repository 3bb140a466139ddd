import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from kdsweep.batch import Tokens
from kdsweep.data.text import vocabulary
from kdsweep.data.text.settings import TextSettings
from kdsweep.data.text.tokenizer import Texts, encode, shape
from kdsweep.data.text.vocabulary import train, trained
from kdsweep.data.text.wordpiece import SPECIALS, wordpiece
from kdsweep.errors import SpecError

CORPUS = [
    "The quick brown fox jumps over the lazy dog, again and again.",
    "A dog and a fox: quicker, lazier, browner.",
    "Überall jumped the foxes; naïve dogs were again jumping over.",
] * 4


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDSWEEP_CACHE", str(tmp_path / "cache"))


def settings(**tokenizer: object) -> TextSettings:
    return TextSettings(length=12, tokenizer=tokenizer)


def ids(text: str, params: TextSettings, pair: str | None = None) -> list[int]:
    pairs = None if pair is None else [pair]
    (_, found) = encode(
        [Texts(CORPUS, None if pair is None else CORPUS), Texts([text], pairs)], params
    )
    return found[0].tolist()


# A vocabulary that is trained


def test_specials_come_first_and_padding_is_zero() -> None:
    pieces = train(CORPUS, size=200, lowercase=True)
    assert tuple(pieces[:5]) == SPECIALS
    assert SPECIALS[0] == "[PAD]"
    assert len(set(pieces)) == len(pieces) <= 200
    assert {"dog", "fox", "again", "the", "##s"} <= set(pieces)


def test_case_and_accents_are_folded_unless_kept() -> None:
    folded, kept = (set(train(CORPUS, size=300, lowercase=fold)) for fold in (True, False))
    assert "the" in folded
    assert not {"The", "T", "Ü", "ü", "ï"} & folded
    assert {"T", "Ü", "##ï"} <= kept


@pytest.mark.parametrize("size", [100, 101, 1000])
def test_no_more_pieces_than_asked_for_however_many_characters(size: int) -> None:
    rare = "".join(chr(0x4E00 + number) for number in range(3000))
    pieces = train([f"{rare} {'common word ' * 50}"], size=size, lowercase=True)
    assert len(pieces) <= size
    assert {"c", "m", "##o", "##w"} <= set(pieces)


def test_the_same_texts_give_the_same_vocabulary_in_every_process_and_thread() -> None:
    """Characters beyond the limit and pairs that occur as often are many here."""
    texts = [
        " ".join(f"w{(k * j * j) % 997:x}" + chr(0x400 + j * k % 200) for j in range(60))
        for k in range(200)
    ]
    program = (
        "import json, sys; from kdsweep.data.text.vocabulary import train; "
        "print(json.dumps(train(json.load(sys.stdin), size=600, lowercase=True)))"
    )
    threads = {"RAYON_NUM_THREADS": "4", "TOKENIZERS_PARALLELISM": "true", "PYTHONHASHSEED": "7"}
    other = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(texts),
        env={**os.environ, **threads},
        capture_output=True,
        text=True,
        check=True,
    )
    own = [train(texts, size=600, lowercase=True) for _ in range(3)]
    assert len(own[0]) == 600
    assert own[0] == own[1] == own[2] == json.loads(other.stdout)


def test_trained_once_then_read(monkeypatch: pytest.MonkeyPatch) -> None:
    first = trained(CORPUS, size=110, lowercase=True)
    assert list(first.values()) == list(range(len(first)))
    monkeypatch.setattr(vocabulary, "train", None)
    assert trained(CORPUS, size=110, lowercase=True) == first
    for other in (
        {"texts": CORPUS, "size": 110, "lowercase": False},
        {"texts": CORPUS, "size": 109, "lowercase": True},
        {"texts": CORPUS[1:], "size": 110, "lowercase": True},
        {"texts": [CORPUS[0] + CORPUS[1], *CORPUS[2:]], "size": 110, "lowercase": True},
    ):
        with pytest.raises(TypeError):
            trained(**other)


def test_too_few_texts_for_a_vocabulary_are_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = trained(CORPUS, size=5000, lowercase=True)
    assert f"give only {len(found)} of 5000 pieces; with vocabulary: {len(found)}" in caplog.text
    caplog.clear()
    trained(CORPUS, size=100, lowercase=True)
    assert not caplog.text


def test_only_the_training_part_is_learned_from() -> None:
    params = settings(vocabulary=117)
    parts = [Texts(CORPUS), Texts(["ωμέγα ωμέγα ωμέγα"] * 20)]
    _, held_out = encode(parts, params)
    assert 1 in held_out[0]
    (own,) = encode(parts[1:], params)
    assert 1 not in own[0]


# Texts in ids


def test_ids_by_hand() -> None:
    words = [*SPECIALS, "play", "##ing", "##ed", "cat", "!"]
    made = wordpiece({word: number for number, word in enumerate(words)}, lowercase=True)
    assert made.encode("Cat PLAYING!").ids == [2, 8, 5, 6, 9, 3]
    assert made.encode("played", "cat dog").ids == [2, 5, 7, 3, 8, 1, 3]


def test_first_last_and_padding() -> None:
    found = ids("the dog", settings(vocabulary=117))
    assert found[0] == 2
    assert found[3] == 3
    assert found[4:] == [0] * 8
    assert min(found[1:3]) >= len(SPECIALS)


def test_a_pair_is_joined_by_a_separator() -> None:
    params = settings(vocabulary=117)
    one, two = ids("the dog", params)[1:3], ids("again", params)[1:2]
    assert ids("the dog", params, pair="again") == [2, *one, 3, *two, 3] + [0] * 6


def test_what_is_too_long_is_cut_off_the_longer_of_a_pair() -> None:
    params = settings(vocabulary=117)
    dog = ids("dog", params)[1]
    assert ids("dog " * 40, params) == [2] + [dog] * 10 + [3]
    (again,) = ids("again", params)[1:2]
    assert ids("dog " * 40, params, pair="again again") == [2] + [dog] * 7 + [3, again, again, 3]


def test_specials_written_in_a_text_are_text() -> None:
    found = ids("[SEP] [PAD] dog", TextSettings(length=24, tokenizer={"vocabulary": 117}))
    used = found[: found.index(0)]
    assert used.count(3) == 1
    assert used[-1] == 3
    assert not any(found[len(used) :])


def test_an_empty_text_has_its_specials() -> None:
    assert ids("", settings(vocabulary=117)) == [2, 3] + [0] * 10


def test_many_texts_are_the_same_as_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    params = settings(vocabulary=117)
    (whole,) = encode([Texts(CORPUS)], params)
    monkeypatch.setattr("kdsweep.data.text.tokenizer._AT_ONCE", 5)
    (pieces,) = encode([Texts(CORPUS)], params)
    assert np.array_equal(whole, pieces)
    assert whole.dtype == np.int16


# A tokenizer that comes with a model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A directory with a tokenizer.json that also pads and cuts, as some do."""
    folder = tmp_path / "model"
    folder.mkdir()
    made = wordpiece(trained(CORPUS, size=110, lowercase=True), lowercase=True)
    made.enable_truncation(3)
    made.enable_padding(pad_id=0, pad_token="[PAD]", length=20)
    made.save(str(folder / "tokenizer.json"))
    return folder


def vocab_txt(folder: Path, words: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    return folder


def test_a_model_directory_gives_the_ids_of_its_tokenizer(model: Path) -> None:
    own = settings(vocabulary=110)
    for path in (model, model / "tokenizer.json"):
        given = settings(pretrained=str(path))
        assert shape(given) == Tokens(12, 110)
        for text in ("the lazy fox", "dogs " * 30, "[SEP]"):
            assert ids(text, given) == ids(text, own)


def test_a_vocabulary_file_is_read_as_bert_does(tmp_path: Path) -> None:
    from transformers import BertTokenizer

    words = ["[PAD]", "x", "[UNK]", "[CLS]", "[SEP]", "dog", "Dog", "##s", "a", "na", "##ive", ","]
    folder = vocab_txt(tmp_path / "bert", words)
    for fold in (True, False):
        params = settings(pretrained=str(folder), lowercase=fold)
        official = BertTokenizer(str(folder / "vocab.txt"), do_lower_case=fold)
        for text in ("Dogs, dogs", "a naïve Dog", "x unheard-of", ""):
            expected = official(text)["input_ids"]
            assert ids(text, params) == expected + [0] * (12 - len(expected))
    assert shape(settings(pretrained=str(folder))) == Tokens(12, len(words))


def test_case_of_a_vocabulary_file_follows_the_settings_beside_it(tmp_path: Path) -> None:
    folder = vocab_txt(tmp_path / "bert", [*SPECIALS, "dog", "Dog"])
    assert ids("Dog", settings(pretrained=str(folder)))[1] == 5
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false, "pad_token": "[PAD]"}')
    assert ids("Dog", settings(pretrained=str(folder)))[1] == 6
    assert ids("Dog", settings(pretrained=str(folder), lowercase=True))[1] == 5


def test_a_large_vocabulary_needs_wider_ids(tmp_path: Path) -> None:
    words = [*SPECIALS, *(f"w{number}" for number in range(40_000))]
    params = settings(pretrained=str(vocab_txt(tmp_path / "large", words)))
    (found,) = encode([Texts(["w39999 w0"])], params)
    assert found.dtype == np.int32
    assert found[0, :4].tolist() == [2, 40_004, 5, 3]
    assert shape(params).vocabulary == 40_005


def test_a_name_is_looked_up_in_the_hub_cache_alone(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = tmp_path / "hub"
    repository = hub / "models--some--bert"
    snapshot = repository / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    (snapshot / "tokenizer.json").write_bytes((model / "tokenizer.json").read_bytes())
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub))
    given = settings(pretrained="some/bert")
    assert given.tokenizer.pretrained == "some/bert"
    assert ids("the fox", given) == ids("the fox", settings(vocabulary=110))
    with pytest.raises(SpecError, match=r"no directory or file .* nothing is fetched"):
        shape(settings(pretrained="some/other"))


def test_what_can_only_be_a_path_is_told_what_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("no name at all", "./absent", "runs/of/absent", "absent/"):
        assert refusal(settings(pretrained=name)) == (
            f"data.tokenizer.pretrained: {str(tmp_path / name)!r} does not exist: give the path of "
            "a model directory, which has tokenizer.json or vocab.txt, or of such a file"
        )


# What is refused


def refusal(params: TextSettings) -> str:
    with pytest.raises(SpecError) as caught:
        shape(params)
    (problem,) = caught.value.problems
    return problem


def test_padding_that_is_not_zero_is_refused(tmp_path: Path) -> None:
    words = ["[CLS]", "[PAD]", "[UNK]", "[SEP]", "a"]
    folder = vocab_txt(tmp_path / "roberta", words)
    assert refusal(settings(pretrained=str(folder))) == (
        f"data.tokenizer.pretrained: {folder / 'vocab.txt'}: '[PAD]' has id 1; texts are filled up "
        "with id 0, so its padding token must have that id, as BERT's has"
    )
    made = wordpiece({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3}, lowercase=True)
    made.save(str(tmp_path / "tokenizer.json"))
    assert "it has no padding token" in refusal(settings(pretrained=str(tmp_path)))


def test_the_named_padding_token_counts(model: Path) -> None:
    (model / "tokenizer_config.json").write_text('{"pad_token": {"content": "fox"}}')
    found = json.loads((model / "tokenizer.json").read_text())
    found["padding"] = None
    (model / "tokenizer.json").write_text(json.dumps(found))
    assert "'fox' has id" in refusal(settings(pretrained=str(model)))


def test_a_tokenizer_without_a_first_token_is_refused(model: Path) -> None:
    found = json.loads((model / "tokenizer.json").read_text())
    found["post_processor"] = None
    (model / "tokenizer.json").write_text(json.dumps(found))
    assert "puts no special token before and after a text" in refusal(
        settings(pretrained=str(model))
    )


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("tokenizer.json", b"{}", "cannot be read as a tokenizer"),
        ("tokenizer.json", b"\xff\x00", "cannot be read as a tokenizer"),
        ("vocab.txt", b"dog\ncat\n", r"has no \[PAD\], \[UNK\], \[CLS\], \[SEP\]: must be a Word"),
        ("vocab.txt", b"\xff\xfe\n", "cannot be read as a vocabulary"),
        ("tokenizer_config.json", b"[]", "has neither tokenizer.json nor vocab.txt"),
    ],
)
def test_files_that_hold_no_tokenizer_are_refused(
    name: str, content: bytes, said: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SpecError, match=said):
        shape(settings(pretrained=str(tmp_path)))


def test_settings_that_a_model_has_of_its_own_are_refused(model: Path) -> None:
    with pytest.raises(ValidationError, match="pretrained has its own vocabulary"):
        settings(pretrained=str(model), vocabulary=4000)
    assert "data.tokenizer.lowercase: is not allowed with" in refusal(
        settings(pretrained=str(model), lowercase=True)
    )
    with pytest.raises(ValidationError, match="greater than or equal to 100"):
        settings(vocabulary=99)


def test_broken_settings_beside_a_tokenizer_are_refused(model: Path) -> None:
    for content in ("[]", "{", "[" * 100_000):
        (model / "tokenizer_config.json").write_text(content)
        assert "tokenizer_config.json cannot be read" in refusal(settings(pretrained=str(model)))


def test_the_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert "pip install 'kdsweep[text]'" in refusal(settings())


def test_listing_the_data_sets_does_not_import_the_libraries() -> None:
    program = (
        "import sys; from kdsweep import catalog; catalog.names('data'); "
        "sys.exit(bool({'tokenizers', 'transformers', 'huggingface_hub'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
