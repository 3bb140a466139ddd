"""BERT and DistilBERT: published sizes, padding, pairs of texts, and weights of a directory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from kdsweep import catalog
from kdsweep.batch import Tokens
from kdsweep.errors import SpecError
from kdsweep.models.encoders import segments, text_mask
from kdsweep.models.features import FeatureTap
from kdsweep.models.size import count_params, sizes
from kdsweep.spec import Component
from kdsweep.sweep_file.weights import load_state
from kdsweep.train.weights import load_into

transformers = pytest.importorskip("transformers")

SHAPE = Tokens(length=12, vocabulary=60)
NAMES = ("bert", "distilbert")
SMALL = {"layers": 2, "width": 16, "heads": 4}
every_encoder = pytest.mark.parametrize("name", NAMES)


def build(name, *, shape=SHAPE, num_classes=3, seed=0, **settings) -> nn.Module:
    torch.manual_seed(seed)
    return catalog.model(Component(name=name, **settings), shape=shape, num_classes=num_classes)


def texts(*lengths, shape=SHAPE, seed=1):
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(1, shape.vocabulary, (len(lengths), shape.length), generator=generator)
    tokens[torch.arange(shape.length) >= torch.tensor(lengths)[:, None]] = 0
    return tokens


@pytest.mark.parametrize(
    ("name", "layers", "published", "head"),
    [
        ("bert", 12, 109_482_240, 768 * 2 + 2),
        ("distilbert", 6, 66_362_880, 768 * 768 + 768 + 768 * 2 + 2),
    ],
)
def test_the_published_sizes(name, layers, published, head):
    shape, width = Tokens(length=128, vocabulary=30_522), 768
    settings = {"layers": layers, "width": width, "heads": 12, "positions": 512}
    found = sizes(lambda: build(name, shape=shape, num_classes=2, **settings), shape)
    assert found["params"] == published + head
    assert found["size_bytes"] == 4 * found["params"]
    # The linear layers of each token, scores and sums of attention, and two layers of one token.
    layer = 12 * 128 * width**2 + 2 * 128**2 * width
    assert found["macs"] == layers * layer + width**2 + 2 * width


@every_encoder
def test_small_ones_measure_the_same_with_and_without_weights(name, monkeypatch):
    found = sizes(lambda: build(name, **SMALL), SHAPE, num_classes=3)
    monkeypatch.setattr("kdsweep.models.size.LARGE", 1)
    assert sizes(lambda: build(name, **SMALL), SHAPE, num_classes=3) == found
    assert found["params"] == count_params(build(name, **SMALL))


@every_encoder
def test_it_computes_what_transformers_does(name, tmp_path):
    theirs = saved(tmp_path, name)
    ours = build(name, pretrained=str(tmp_path)).eval()
    tokens = texts(12, 5, 1)
    with torch.no_grad():
        expected = theirs(tokens, attention_mask=(tokens != 0).long()).logits
        torch.testing.assert_close(ours(tokens), expected)


@every_encoder
def test_padding_changes_nothing(name):
    network = build(name, **SMALL).eval()
    tokens = texts(5, 5, 2)
    with torch.no_grad():
        torch.testing.assert_close(network(tokens), network(tokens[:, :5]))


@every_encoder
def test_empty_texts_are_finite(name):
    network = build(name, **SMALL)
    logits = network(texts(0, 12, 0))
    logits.logsumexp(dim=1).sum().backward()
    assert logits.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


@every_encoder
def test_every_parameter_learns(name):
    network = build(name, **SMALL)
    assert all(module.training for module in network.modules())
    nn.functional.cross_entropy(network(texts(12, 7, 3)), torch.arange(3)).backward()
    for path, parameter in network.named_parameters():
        assert parameter.grad.isfinite().all(), path
        assert parameter.grad.count_nonzero() > 0, path


@every_encoder
def test_its_anatomy_leads_to_states_of_tokens(name):
    network = build(name, **SMALL)
    anatomy = network.anatomy
    assert len(anatomy.blocks) == 2
    paths = [anatomy.embedding]
    for block in anatomy.blocks:
        assert block.heads == 4
        paths += [block.hidden, block.query, block.key, block.value]
    with FeatureTap(network, paths) as tap:
        network(texts(12, 4))
        assert {tuple(states.shape) for states in tap.features.values()} == {(2, 12, 16)}


def test_the_roles_of_parts_are_those_of_all_families():
    blocks = [build(name, **SMALL).anatomy.blocks[0] for name in NAMES]
    vit = catalog.model(Component(name="vit"), shape=(1, 8, 8), num_classes=2).anatomy.blocks[0]
    assert set(blocks[0].parts) == set(blocks[1].parts) == set(vit.parts)


def test_the_mask_is_of_keys_and_always_has_one():
    mask = text_mask(torch.tensor([[5, 6, 0], [0, 0, 0]]))
    expected = [[[[True, True, False]]], [[[True, False, False]]]]
    assert torch.equal(mask, torch.tensor(expected))


def test_segments_by_hand():
    # [CLS] a [SEP] b c [SEP] and padding; a single text; a pair whose second text is empty.
    tokens = torch.tensor([[2, 9, 3, 8, 7, 3, 0], [2, 9, 9, 3, 0, 0, 0], [2, 9, 3, 3, 0, 0, 0]])
    expected = [[0, 0, 0, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0]]
    assert segments(tokens, 3).tolist() == expected


def test_the_separator_tells_the_texts_of_a_pair_apart():
    pair = torch.tensor([[2, 9, 3, 8, 7, 3, 0, 0]])
    plain, parted = build("bert", **SMALL).eval(), build("bert", **SMALL, separator=3).eval()
    with torch.no_grad():
        assert not torch.equal(plain(pair), parted(pair))
        single = torch.tensor([[2, 9, 4, 8, 7, 3, 0, 0]])
        assert torch.equal(plain(single), parted(single))
        given = plain.bert(
            pair, attention_mask=text_mask(pair), token_type_ids=segments(pair, 3)
        ).pooler_output
        torch.testing.assert_close(parted(pair), plain.classifier(given))


CLASSES = {
    "bert": ("BertConfig", "BertForSequenceClassification", "BertModel"),
    "distilbert": ("DistilBertConfig", "DistilBertForSequenceClassification", "DistilBertModel"),
}


def saved(place: Path, name: str, *, headless=False, **changes) -> nn.Module:
    """A directory as transformers saves one, of weights that were not drawn with our seeds."""
    config_class, with_head, without = (getattr(transformers, each) for each in CLASSES[name])
    sizes = {"hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2}
    if name == "bert":
        sizes["intermediate_size"] = 24
    else:
        sizes = {"dim": 8, "n_layers": 3, "n_heads": 2, "hidden_dim": 24}
    given = {"vocab_size": 60, "max_position_embeddings": 20, "num_labels": 3, **sizes, **changes}
    torch.manual_seed(99)
    network = (without if headless else with_head)(config_class(**given))
    network.save_pretrained(place)
    return network.eval()


@every_encoder
def test_size_and_weights_come_from_the_directory(name, tmp_path):
    theirs = saved(tmp_path, name).state_dict()
    network = build(name, pretrained=str(tmp_path))
    ours = network.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert all(module.training for module in network.modules())
    assert len(network.anatomy.blocks) == 3
    assert network.anatomy.blocks[0].heads == 2


@every_encoder
def test_a_file_of_transformers_goes_into_the_model(name, tmp_path):
    theirs = saved(tmp_path, name)
    network = build(name, layers=3, width=8, heads=2, hidden=24, positions=20)
    load_into(network, load_state(tmp_path / "model.safetensors"), source="theirs")
    tokens = texts(12, 4)
    with torch.no_grad():
        expected = theirs(tokens, attention_mask=(tokens != 0).long()).logits
        torch.testing.assert_close(network.eval()(tokens), expected)


@every_encoder
@pytest.mark.parametrize("headless", [True, False])
def test_a_head_of_other_classes_is_new_and_drawn_from_the_seed(name, headless, tmp_path):
    theirs = saved(tmp_path, name, headless=headless).state_dict()
    one, same, other = (
        build(name, pretrained=str(tmp_path), num_classes=5, seed=seed).state_dict()
        for seed in (1, 1, 2)
    )
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert one["classifier.weight"].shape == (5, 8)
    assert not torch.equal(one["classifier.weight"], other["classifier.weight"])
    body = [key for key in one if key.removeprefix(f"{name}.") in theirs or key in theirs]
    body = [key for key in body if not key.startswith("classifier")]
    assert len(body) > 20
    for key in body:
        assert torch.equal(one[key], theirs.get(key, theirs.get(key.removeprefix(f"{name}."))))


@every_encoder
def test_the_directorys_dropout_unless_another_is_given(name, tmp_path):
    key = "hidden_dropout_prob" if name == "bert" else "dropout"
    saved(tmp_path, name, **{key: 0.25})

    def found(**settings):
        network = build(name, pretrained=str(tmp_path), **settings)
        return {m.p for m in network.modules() if isinstance(m, nn.Dropout)}

    assert 0.25 in found()
    assert found(dropout=0.0) == {0.0}


@every_encoder
def test_on_meta_the_configuration_is_enough(name, tmp_path):
    saved(tmp_path, name)
    (tmp_path / "model.safetensors").unlink()
    with torch.device("meta"):
        network = build(name, pretrained=str(tmp_path))
    assert all(parameter.is_meta for parameter in network.parameters())


@every_encoder
def test_a_relative_directory_is_meant_by_its_full_path(name, tmp_path, monkeypatch):
    saved(tmp_path / "models" / name, name)
    monkeypatch.chdir(tmp_path)
    given = catalog.params("model", Component(name=name, pretrained=f"models/{name}"))
    assert given.pretrained == str(tmp_path / "models" / name)
    missing = catalog.params("model", Component(name=name, pretrained="./nothing"))
    assert missing.pretrained == str(tmp_path / "nothing")
    hub = catalog.params("model", Component(name=name, pretrained="some/model"))
    assert hub.pretrained == "some/model"


def refusal(name, **settings):
    with pytest.raises(SpecError) as caught:
        build(name, **settings)
    return caught.value.problems


def test_what_does_not_fit_is_refused():
    assert refusal("bert", width=10, heads=4, positions=5) == (
        "bert: heads: 4 does not divide width: 10: every head has an equal share of the width",
        "bert: positions: 5 are too few for texts of 12 tokens out of 60: shorten the texts, or "
        "use more positions",
    )
    assert refusal("bert", separator=60) == (
        "bert: separator: 60 is no token: the data have 60, numbered from 0",
    )
    assert refusal("distilbert", pretrained="somewhere", width=16, layers=2) == (
        "pretrained has its own layers, width: leave them out, or leave pretrained out",
    )


def test_images_are_refused():
    with pytest.raises(SpecError, match="bert takes tokens, and the data set has images of 1x8x8"):
        build("bert", shape=(1, 8, 8))


def test_directories_that_do_not_fit_are_refused(tmp_path):
    at = str(tmp_path / "bert")
    saved(tmp_path / "bert", "bert", vocab_size=200, pad_token_id=1)
    assert refusal("bert", pretrained=at, shape=Tokens(30, 60)) == (
        f"bert: pretrained: {at!r} is for 200 tokens and the data have 60: tokenize the data with "
        "the tokenizer of this directory",
        f"bert: pretrained: {at!r}: 20 positions are too few for texts of 30 tokens out of 60: "
        "shorten the texts, or use more positions",
        f"bert: pretrained: {at!r} pads with the token 1; only 0 is padding here",
    )
    assert refusal("distilbert", pretrained=at) == (
        f"distilbert: pretrained: {at!r} holds a model of type 'bert', not 'distilbert': use the "
        "model of that name, or another directory",
    )


HOLDS = "give the path of a model directory, which has config.json and weights as safetensors"


def test_a_path_is_told_what_is_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "unread").mkdir()
    (tmp_path / "unread" / "config.json").write_text("{")
    (tmp_path / "unread" / "model.safetensors").write_text("")
    for given, said in [
        ("./nowhere", "{!r} does not exist: " + HOLDS),
        ("runs/of/nowhere", "{!r} does not exist: " + HOLDS),
        ("some/model/", "{!r} does not exist: " + HOLDS),
        ("file", "{!r} is a file: " + HOLDS),
        ("empty", "{!r} has no config.json: " + HOLDS),
    ]:
        place = str(tmp_path / given)
        assert refusal("bert", pretrained=given) == ("bert: pretrained: " + said.format(place),)
    (problem,) = refusal("bert", pretrained="unread")
    place = str(tmp_path / "unread")
    assert problem.startswith(f"bert: pretrained: config.json of {place!r} cannot be read: ")
    (tmp_path / "unread" / "config.json").write_text('{"model_type": "bert"}')
    (problem,) = refusal("bert", pretrained="unread", shape=Tokens(12, 30_522))
    assert problem.startswith(f"bert: pretrained: weights of {place!r} cannot be read: ")
    assert "hub" not in problem


@pytest.mark.parametrize("given", ["model", "some/model"])
def test_a_name_that_the_cache_does_not_have_is_refused_without_a_network(
    tmp_path, monkeypatch, given
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert refusal("bert", pretrained=given) == (
        f"bert: pretrained: no directory {given!r}, and no model of that name with config and "
        f"safetensors in this machine's hub cache; nothing is fetched: {HOLDS}, or run "
        f"hf download {given} on every node",
    )


def test_pickled_weights_are_not_read(tmp_path):
    network = saved(tmp_path, "bert")
    (tmp_path / "model.safetensors").unlink()
    where = f"bert: pretrained: {str(tmp_path)!r} has no weights as safetensors: {HOLDS}"
    assert refusal("bert", pretrained=str(tmp_path)) == (where,)
    torch.save(network.state_dict(), tmp_path / "pytorch_model.bin")
    assert refusal("bert", pretrained=str(tmp_path)) == (
        f"{where}; a pickle (.bin) is not read: save the model again, with safe_serialization=True",
    )


def test_a_configuration_of_other_weights_is_refused(tmp_path):
    saved(tmp_path, "bert")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 4}))
    (problem,) = refusal("bert", pretrained=str(tmp_path))
    assert "has no weights, or none of the right shape, for bert.encoder.layer.3." in problem
    (tmp_path / "config.json").write_text(json.dumps(config | {"intermediate_size": 12}))
    (problem,) = refusal("bert", pretrained=str(tmp_path))
    assert "has no weights, or none of the right shape, for bert.encoder.layer.0." in problem


def test_code_that_comes_with_a_model_is_not_run(tmp_path):
    saved(tmp_path, "bert")
    config = json.loads((tmp_path / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "own.Own", "AutoModelForSequenceClassification": "own.Own"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    marker = tmp_path / "ran"
    (tmp_path / "own.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    build("bert", pretrained=str(tmp_path))
    assert not marker.exists()


def test_loading_is_silent_and_leaves_the_librarys_voice_as_it_was(tmp_path, capfd):
    saved(tmp_path, "bert", headless=True)
    capfd.readouterr()
    logging = transformers.utils.logging
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    build("bert", pretrained=str(tmp_path))
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    assert capfd.readouterr() == ("", "")


def test_without_transformers_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(SpecError, match=r"bert needs the package transformers .*kdsweep\[text\]"):
        build("bert")


def test_transformers_is_not_imported_before_a_text_model_is_built():
    script = (
        "import sys\n"
        "from kdsweep import catalog\n"
        "from kdsweep.spec import Component\n"
        "assert 'bert' in catalog.names('model')\n"
        "catalog.params('model', Component(name='bert', layers=3))\n"
        "catalog.model(Component(name='vit'), shape=(1, 8, 8), num_classes=2)\n"
        "assert 'transformers' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
