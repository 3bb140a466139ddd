"""The encoders of transformers: new from sizes, or with the weights of a directory."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

from kdsweep.batch import PADDING, Tokens
from kdsweep.errors import SpecError
from kdsweep.models.encoders import EncoderSettings, too_long

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

# Vocabularies are padded up to a size that suits the hardware, never by more.
_SPARE_ROWS = 128
_WHAT_IT_HOLDS = "the path of a model directory, which has config.json and weights as safetensors"


def encoder(
    params: EncoderSettings,
    sizes: Mapping[str, Any],
    *,
    name: str,
    classes: tuple[str, str],
    shape: Tokens,
    num_classes: int,
) -> "PreTrainedModel":
    """The network of transformers with a head for ``num_classes``, in training mode.

    ``classes`` are the names of its configuration and of the network; ``sizes`` the settings of
    the configuration. With ``params.pretrained`` the weights are the directory's, and so is the
    head if it is for as many classes; else it is new. On the meta device no weights are read.

    Raises:
        SpecError: the heads do not divide the width, the texts are too long, transformers is not
            installed, there is no such directory, or what is in it is not of this architecture or
            not for these texts.
    """
    params.check(shape, name=name)
    with quiet(name) as transformers:
        config_class = getattr(transformers, classes[0])
        network_class = getattr(transformers, classes[1])
        if params.pretrained is None:
            config = config_class(
                **sizes,
                vocab_size=shape.vocabulary,
                pad_token_id=PADDING,
                num_labels=num_classes,
                attn_implementation="sdpa",
            )
            made: PreTrainedModel = network_class(config)
            return made.train()
        config = _config_of(params, config_class, name, sizes, num_classes)
        _check_directory(config, params.pretrained, name, shape)
        if torch.get_default_device().type == "meta":
            return network_class(config).train()
        return _loaded(params, network_class, config, name).train()


@contextmanager
def quiet(name: str) -> Iterator[Any]:
    """The module ``transformers``, silent: what it reports of its loading is checked instead.

    It is imported here, at the first use: it brings torch's compiler with it, some seconds that
    no process without texts should wait.

    Raises:
        SpecError: it is not installed.
    """
    try:
        import transformers
        from transformers.utils import logging
    except ImportError as error:
        raise SpecError(
            f"{name} needs the package transformers ({error}): install kdsweep[text]"
        ) from error
    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield transformers
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()


def _config_of(
    params: EncoderSettings,
    config_class: "type[PretrainedConfig]",
    name: str,
    sizes: Mapping[str, Any],
    num_classes: int,
) -> "PretrainedConfig":
    """The directory's configuration, with the dropout that the settings ask for."""
    assert params.pretrained is not None
    _check_place(params.pretrained, name)
    # Nothing is fetched: every lane of every node would do so at once.
    where = {"local_files_only": True}
    try:
        found, _ = config_class.get_config_dict(params.pretrained, **where)
    except (OSError, ValueError) as error:
        raise SpecError(_unread(params.pretrained, name, "config.json", error)) from error
    if not found:
        raise SpecError(_not_cached(params.pretrained, name))
    if found.get("model_type") != config_class.model_type:
        raise SpecError(
            f"{name}: pretrained: {params.pretrained!r} holds a model of type "
            f"{found.get('model_type')!r}, not {config_class.model_type!r}: use the model of that "
            "name, or another directory"
        )
    dropouts = {key: value for key, value in sizes.items() if "dropout" in key}
    return config_class.from_pretrained(
        params.pretrained,
        num_labels=num_classes,
        attn_implementation="sdpa",
        **dropouts,
        **where,
    )


def _check_directory(config: "PretrainedConfig", pretrained: str, name: str, shape: Tokens) -> None:
    """Pass if the directory's network takes such texts."""
    where, problems = f"{name}: pretrained: {pretrained!r}", []
    if not config.vocab_size - _SPARE_ROWS < shape.vocabulary <= config.vocab_size:
        problems.append(
            f"{where} is for {config.vocab_size:,} tokens and the data have {shape.vocabulary:,}: "
            "tokenize the data with the tokenizer of this directory"
        )
    if config.max_position_embeddings < shape.length:
        problems.append(too_long(where, f"{config.max_position_embeddings} positions", shape))
    if config.pad_token_id != PADDING:
        problems.append(
            f"{where} pads with the token {config.pad_token_id}; only {PADDING} is padding here"
        )
    if problems:
        raise SpecError(problems)


def _loaded(
    params: EncoderSettings, network_class: "type[PreTrainedModel]", config: Any, name: str
) -> "PreTrainedModel":
    """The network with the directory's weights; nothing but the head may be new."""
    assert params.pretrained is not None
    _check_weights(params.pretrained, name)
    try:
        network, report = network_class.from_pretrained(
            params.pretrained,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise SpecError(_unread(params.pretrained, name, "weights", error)) from error
    differ = {str(key[0] if isinstance(key, tuple) else key) for key in report["mismatched_keys"]}
    new = sorted(key for key in differ | set(report["missing_keys"]) if not _is_head(key))
    if new:
        raise SpecError(
            f"{name}: pretrained: {params.pretrained!r} has no weights, or none of the right "
            f"shape, for {', '.join(new[:3])}{' ...' if len(new) > 3 else ''}: "
            "its config.json is of another network than its weights"
        )
    return network


def _is_head(key: str) -> bool:
    return "classifier" in key or ".pooler." in key


def _check_place(pretrained: str, name: str) -> None:
    """Pass if it is a directory with what a model has, or may be a name in the hub cache."""
    path, where = Path(pretrained), f"{name}: pretrained: {pretrained!r}"
    if not path.is_absolute():
        return
    if not path.is_dir():
        found = "is a file" if path.exists() else "does not exist"
        raise SpecError(f"{where} {found}: give {_WHAT_IT_HOLDS}")
    if not (path / "config.json").is_file():
        raise SpecError(f"{where} has no config.json: give {_WHAT_IT_HOLDS}")


def _check_weights(pretrained: str, name: str) -> None:
    """Pass if a directory has weights that are read, or it is a name in the hub cache."""
    path = Path(pretrained)
    if path.is_absolute() and not any(path.glob("*.safetensors")):
        pickled = "" if not any(path.glob("*.bin")) else (
            "; a pickle (.bin) is not read: save the model again, with safe_serialization=True"
        )  # fmt: skip
        raise SpecError(
            f"{name}: pretrained: {pretrained!r} has no weights as safetensors: give "
            f"{_WHAT_IT_HOLDS}{pickled}"
        )


def _unread(pretrained: str, name: str, what: str, error: Exception) -> str:
    """The sentence for a part of a model that transformers cannot read."""
    if not Path(pretrained).is_absolute():
        return _not_cached(pretrained, name)
    return f"{name}: pretrained: {what} of {pretrained!r} cannot be read: {_reason(error)}"


def _not_cached(pretrained: str, name: str) -> str:
    return (
        f"{name}: pretrained: no directory {pretrained!r}, and no model of that name with config "
        "and safetensors in this machine's hub cache; nothing is fetched: give "
        f"{_WHAT_IT_HOLDS}, or run hf download {pretrained} on every node"
    )


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
