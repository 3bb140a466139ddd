"""A student as files that run without kdsweep: what they hold, and when nothing is written."""

import hashlib
import json
import re
import sys

import numpy as np
import pytest
import torch
import yaml
from kept_students import AT_ONCE, TEXTS, TRIAL, kept, stranger
from tokenizers import Tokenizer

from kdsweep import catalog
from kdsweep.data.text.tokenizer import encode
from kdsweep.errors import ResultError
from kdsweep.export import files
from kdsweep.export.folder import Asked, export_student, folder_of
from kdsweep.sweep_file.load import load_trial

FORMATS = ("safetensors", "onnx", "pt2")
CPU = torch.device("cpu")
# What a block of the card leaves behind is asked for real samples as well.
ASKS = {
    "student.safetensors": "student(weights, torch.from_numpy(real)).numpy()",
    "student.onnx": 'session.run(["logits"], {NAME: real})[0]',
    "student.int8.onnx": 'session.run(["logits"], {NAME: real})[0]',
    "student.pt2": "network(torch.from_numpy(real)).detach().numpy()",
}


def blocks(folder):
    """The code under each heading of the card's part on loading."""
    text = (folder / "README.md").read_text()
    return dict(re.findall(r"^### (\S+)\n.*?^```python\n(.*?)^```", text, re.M | re.S))


def asked(**more):
    return Asked(**{"formats": FORMATS, "patience": AT_ONCE, **more})


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Everything at once, of a student that has learned a little."""
    store, result, network = kept(tmp_path_factory.mktemp("digits"), steps=60)
    made = export_student(store, result, asked(int8=True, licence="CC BY 4.0"))
    return made, result, network


def test_each_file_gives_the_students_logits_in_a_process_without_kdsweep(exported, tmp_path):
    made, _, network = exported
    splits = catalog.dataset(made.card.trial.data).load(CPU)
    pixels = splits.test.images[:7]
    np.save(made.folder / "real.npy", pixels.numpy())
    wanted = network(next(splits.test.in_order(batch_size=7)).images).detach()
    code = "import numpy as np\nreal, found = np.load('real.npy'), {}\n"
    for name, block in blocks(made.folder).items():
        ask = ASKS[name].replace("NAME", "'images'")
        code += f"{block}\nfound['{name}'] = {ask}\nassert len({ask.replace('real', 'real[:1]')})\n"
    code += "np.savez('found.npz', **found)\n"
    stranger(code, made.folder)
    (made.folder / "real.npy").unlink()
    with np.load(made.folder / "found.npz") as found:
        assert set(found) == set(ASKS)
        for name in set(ASKS) - {"student.int8.onnx"}:
            torch.testing.assert_close(torch.from_numpy(found[name]), wanted, atol=1e-4, rtol=1e-4)
        coarse = torch.from_numpy(found["student.int8.onnx"])
        assert 0 < (coarse - wanted).abs().max() < 0.1 * wanted.abs().max()
    (made.folder / "found.npz").unlink()


def test_the_card_for_programs_has_hashes_metrics_and_what_was_checked(exported):
    made, result, _ = exported
    card = json.loads((made.folder / "card.json").read_text())
    for name, said in card["files"].items():
        content = (made.folder / name).read_bytes()
        assert said == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    assert set(card["files"]) == {
        "README.md", "trial.yaml", "student.py", *(each["file"] for each in card["networks"])
    }  # fmt: skip
    assert card["licence"] == "CC BY 4.0"
    assert card["metrics"]["accuracy"]["value"] == result.metrics["accuracy"]
    assert card["metrics"]["accuracy"]["split"] == "validation"
    assert card["metrics"]["params"]["split"] is None
    assert {each["split"] for each in card["networks"]} == {"validation"}
    assert card["input"]["dtype"] == "uint8"
    assert card["input"]["shape"] == ["N", 1, 8, 8]
    for each in card["networks"]:
        agreement = each["agreement"]
        # 1,797 digits, of which a fifth of each class is for validation.
        assert agreement["samples"] == 359
        assert agreement["batch_sizes"] == [1, 5, 359 % 64, 64]
        if each["file"] != "student.int8.onnx":
            assert agreement["max_difference"] < 1e-4
            assert agreement["same_class"] == 1.0
            assert each["accuracy"] == pytest.approx(result.metrics["accuracy"])
    int8 = card["networks"][-1]
    assert abs(int8["accuracy"] - result.metrics["accuracy"]) < 0.1


def test_the_model_card_says_what_a_stranger_needs(exported):
    made, result, _ = exported
    text = (made.folder / "README.md").read_text()
    assert "Input `images`, uint8 `[N, 1, 8, 8]`, any number N" in text
    assert "They are normalised inside the network" in text
    assert "a pixel is that times 15" in text
    assert "## Licence\n\nCC BY 4.0\n" in text
    assert f"| accuracy on validation data | {result.metrics['accuracy']:.2%} |" in text
    assert "The classes in their order: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9." in text
    assert "int8 is " in text
    assert "nan" not in text


def test_nothing_of_this_machine_is_in_the_networks(exported):
    made, _, _ = exported
    here = [sys.prefix.encode(), b"site-packages", b"/kdsweep/"]
    for name in ("student.onnx", "student.int8.onnx", "student.py", "student.safetensors"):
        content = (made.folder / name).read_bytes()
        assert [each for each in here if each in content] == []


def test_the_trial_file_beside_it_is_the_whole_trial(exported):
    made, result, _ = exported
    path = made.folder / "trial.yaml"
    assert yaml.safe_load(path.read_text())["trial"] == result.trial
    assert load_trial(path) == made.card.trial


def test_a_text_student_goes_with_its_tokenizer(tmp_path):
    store, result, network = kept(tmp_path, TEXTS, steps=5)
    made = export_student(store, result, asked(formats=("onnx", "pt2"), int8=True))
    data = catalog.dataset(made.card.trial.data)
    texts, _, _ = data._listed(data.describe())
    ids = encode(texts, data.params)[1][:6].astype(np.int64)
    code = "found = {}\n"
    for name, block in blocks(made.folder).items():
        if name == "tokenizer.json":
            words = json.dumps(list(texts[1].texts[:6]))
            block = re.sub(r"^texts = .*$", lambda _, w=words: f"texts = {w}", block, flags=re.M)
            # It is the last block: what is tokenized goes into the first ones' networks.
            code += block + "\nreal = tokens\nfound['ids'] = tokens\n"
            code += f"found['onnx'] = {ASKS['student.onnx'].replace('NAME', repr('tokens'))}\n"
            code += f"found['pt2'] = {ASKS['student.pt2']}\n"
        elif name != "student.int8.onnx":
            code += block
    stranger(code + "np.savez('found.npz', **found)\n", made.folder)
    wanted = network(torch.from_numpy(ids)).detach()
    with np.load(made.folder / "found.npz") as found:
        assert np.array_equal(found["ids"], ids)
        for name in ("onnx", "pt2"):
            torch.testing.assert_close(torch.from_numpy(found[name]), wanted, atol=1e-4, rtol=1e-4)


def test_special_words_in_a_text_are_text_as_the_card_shows(tmp_path):
    data = catalog.dataset(catalog.Component(**TEXTS["data"]))
    path = tmp_path / "tokenizer.json"
    path.write_bytes(data.tokenizer_file())
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.encode_special_tokens = True
    ids = tokenizer.encode("a [SEP] b").ids
    assert len(ids) == 24
    assert ids.count(tokenizer.token_to_id("[SEP]")) == 1


def test_what_is_there_is_replaced_only_where_it_is_an_export(tmp_path):
    store, result, _ = kept(tmp_path)
    made = export_student(store, result, asked(formats=("pt2",)))
    assert made.folder == store.directory / "export" / "small-t0000-pt2"
    assert folder_of(store, result, asked(formats=("onnx",), int8=True)).name == (
        "small-t0000-onnx-int8"
    )
    with pytest.raises(
        ResultError, match="is there already: --force \\(in Python force=True\\) replaces it"
    ):
        export_student(store, result, asked(formats=("pt2",)))
    (made.folder / "of mine").write_text("")
    export_student(store, result, asked(formats=("pt2",), force=True))
    assert sorted(path.name for path in made.folder.iterdir()) == [
        "README.md", "card.json", "student.pt2", "trial.yaml"
    ]  # fmt: skip
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(ResultError, match=r"is no export \(it has no card\.json\)"):
        export_student(store, result, asked(formats=("pt2",), force=True, out=other))
    (tmp_path / "link").symlink_to(other)
    with pytest.raises(ResultError, match="is a link"):
        export_student(store, result, asked(formats=("pt2",), out=tmp_path / "link"))
    assert list(other.iterdir()) == []
    assert [path.name for path in made.folder.parent.iterdir()] == ["small-t0000-pt2"]


OWN = """
import torch
from torch import nn


class Noisy(nn.Linear):
    def __init__(self, num_classes):
        super().__init__(64, num_classes)

    def forward(self, images):
        logits = super().forward(images.flatten(1))
        return logits + torch.rand_like(logits)


class OneSize(Noisy):
    def forward(self, images):
        return nn.Linear.forward(self, images.reshape(len(images), 64))


class Branching(Noisy):
    def forward(self, images):
        logits = nn.Linear.forward(self, images.flatten(1))
        return logits if logits.sum() > 0 else -logits
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Networks of one's own that cannot be exported, each for another reason."""
    (tmp_path / "troublesome.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield lambda name: kept(tmp_path, {**TRIAL, "student": {"name": f"troublesome:{name}"}})[:2]
    sys.modules.pop("troublesome", None)


def refused(store, result, **more):
    with pytest.raises(ResultError) as refusal:
        export_student(store, result, asked(**more))
    left = store.directory / "export"
    assert not left.exists() or list(left.iterdir()) == []
    return str(refusal.value)


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_that_disagrees_is_refused_with_numbers_and_leaves_nothing(own, format):
    said = refused(*own("Noisy"), formats=(format,))
    number = r"[\d.e-]+"
    assert re.fullmatch(
        rf"{files.OF_FORMAT[format]} disagrees with the student, so nothing was written: of \d+ "
        rf"validation samples? at once the logits differ by up to {number}, and {number} is "
        "allowed",
        said,
    )


def test_a_network_for_one_number_of_samples_is_refused_with_the_remedy(own):
    said = refused(*own("OneSize"), formats=("pt2",))
    assert "fixes the number of samples" in said
    assert "use x.shape[0] in place of len(x)" in said


def test_a_network_that_no_graph_can_say_is_refused(own):
    assert "cannot be traced as a graph: " in refused(*own("Branching"), formats=("pt2",))


def test_int8_and_formats_that_there_are_not():
    with pytest.raises(ResultError, match=r"'tflite' is not allowed \(allowed: safetensors, onnx"):
        files.chosen_formats(["tflite"], int8=False)
    assert files.chosen_formats([], int8=False) == ("safetensors",)
    assert files.chosen_formats([], int8=True) == ("onnx",)
    with pytest.raises(ResultError, match=r"--int8 is of ONNX files alone: .*give --format onnx"):
        files.chosen_formats(["pt2"], int8=True)
    assert files.chosen_formats(["pt2", "onnx", "pt2"], int8=True) == ("pt2", "onnx")


def test_without_the_packages_of_onnx_the_command_that_installs_them_is_named(
    tmp_path, monkeypatch
):
    store, result, _ = kept(tmp_path)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    said = refused(store, result, formats=("onnx",))
    assert said == (
        "--format onnx needs onnxruntime, which cannot be imported: pip install 'kdsweep[onnx]'"
    )


def test_without_its_data_nothing_is_exported(tmp_path):
    data = {"name": "torchvision", "dataset": "FashionMNIST", "root": str(tmp_path / "nowhere")}
    store, result, _ = kept(tmp_path, {**TRIAL, "data": data})
    said = refused(store, result, formats=("pt2",))
    assert said.startswith("the trial's data are needed for its student, and cannot be read here: ")


def test_what_is_measured_anew_and_differs_from_the_record_is_said(tmp_path):
    store, result, _ = kept(tmp_path)  # its record says 0.9, and it has learned nothing
    made = export_student(store, result, asked(formats=("pt2",)))
    notes = json.loads((made.folder / "card.json").read_text())["notes"]
    assert len(notes) == 1
    assert "its record says 90.00%: it was trained in another precision, or the data" in notes[0]
