"""Tokenizers that come with a model: from a directory, a file, or the hub cache of this machine."""

import json
from pathlib import Path
from typing import Any

from kdsweep.batch import PADDING
from kdsweep.data.text.settings import TokenizerSettings
from kdsweep.data.text.wordpiece import library, wordpiece
from kdsweep.errors import SpecError

_WHOLE, _LIST, _SETTINGS = "tokenizer.json", "vocab.txt", "tokenizer_config.json"
_PADDINGS = ("[PAD]", "<pad>")
_AT = "data.tokenizer.pretrained"


def opened(settings: TokenizerSettings) -> Any:
    """The tokenizer that the settings name; none where one is to be trained.

    Nothing is fetched, and no code that comes with a model is run.

    Raises:
        SpecError: it is not there or not a tokenizer, or not one that texts can be read with here.
    """
    if settings.pretrained is None:
        return None
    file = _found(settings.pretrained)
    tokenizer, padding = _read(file, settings)
    _check(tokenizer, padding, file)
    return tokenizer


def _found(name: str) -> Path:
    path = Path(name)
    if path.is_dir():
        found = next((path / each for each in (_WHOLE, _LIST) if (path / each).is_file()), None)
        if found is None:
            raise SpecError(
                f"{_AT}: {path} has neither {_WHOLE} nor {_LIST}: name a model directory with one "
                "of them"
            )
        return found
    if path.is_file():
        return path
    if path.is_absolute():
        raise SpecError(
            f"{_AT}: {name!r} does not exist: give the path of a model directory, which has "
            f"{_WHOLE} or {_LIST}, or of such a file"
        )
    found = _in_hub_cache(name)
    if found is None:
        raise SpecError(
            f"{_AT}: no directory or file {name!r}, and no tokenizer of a model of that name in "
            "this machine's hub cache; nothing is fetched: give the path of a model directory, or "
            f"run hf download {name} on every node"
        )
    return found


def _in_hub_cache(name: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        places = (try_to_load_from_cache(name, file) for file in (_WHOLE, _LIST))
        found = next((place for place in places if isinstance(place, str)), None)
    except HFValidationError:
        return None
    return None if found is None else Path(found)


def _read(file: Path, settings: TokenizerSettings) -> tuple[Any, str | None]:
    """The tokenizer of a file, and the name of its padding token."""
    beside = _json(file.with_name(_SETTINGS))
    padding = beside.get("pad_token")
    padding = padding.get("content") if isinstance(padding, dict) else padding
    if file.suffix == ".txt":
        lowercase = settings.lowercase
        if lowercase is None:
            lowercase = beside.get("do_lower_case") is not False
        return wordpiece(_listed(file), lowercase=lowercase), padding
    if settings.lowercase is not None:
        raise SpecError(
            f"data.tokenizer.lowercase: is not allowed with {file}: it says itself how it folds "
            "case; leave it out"
        )
    try:
        tokenizer = library().Tokenizer.from_file(str(file))
    except SpecError:
        raise
    except Exception as error:  # the library raises nothing more special
        raise SpecError(f"{_AT}: {file} cannot be read as a tokenizer: {error}") from error
    return tokenizer, (tokenizer.padding or {}).get("pad_token", padding)


def _listed(file: Path) -> dict[str, int]:
    """The ids of a vocab.txt: one piece a line."""
    try:
        pieces = file.read_bytes().decode("utf-8").rstrip("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{_AT}: {file} cannot be read as a vocabulary: {error}") from error
    vocabulary = {piece.removesuffix("\r"): number for number, piece in enumerate(pieces)}
    missing = [token for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]") if token not in vocabulary]
    if missing:
        raise SpecError(
            f"{_AT}: {file} has no {', '.join(missing)}: must be a WordPiece vocabulary as BERT's"
        )
    return vocabulary


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise SpecError(f"{_AT}: {file} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise SpecError(f"{_AT}: {file} cannot be read: it holds no settings")
    return found


def _check(tokenizer: Any, padding: str | None, file: Path) -> None:
    """Refuse a tokenizer whose ids would mean something else here."""
    if padding is None:
        padding = next(
            (name for name in _PADDINGS if tokenizer.token_to_id(name) is not None), None
        )
    number = None if padding is None else tokenizer.token_to_id(padding)
    if number != PADDING:
        found = "it has no padding token" if number is None else f"{padding!r} has id {number}"
        raise SpecError(
            f"{_AT}: {file}: {found}; texts are filled up with id {PADDING}, so its padding token "
            "must have that id, as BERT's has"
        )
    tokenizer.no_truncation()
    tokenizer.no_padding()
    marks = tokenizer.encode("a").special_tokens_mask
    if len(marks) < 3 or not (marks[0] and marks[-1]):
        raise SpecError(
            f"{_AT}: {file} puts no special token before and after a text, as BERT's does with "
            "[CLS] and [SEP]: networks read the class at the first"
        )
