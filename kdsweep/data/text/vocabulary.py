"""A WordPiece vocabulary trained on texts: the same one every time, and kept."""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from kdsweep.data.cache import kept
from kdsweep.data.text.wordpiece import SPECIALS, library, wordpiece

_log = logging.getLogger(__name__)
_RECIPE = 1
"""To be raised when the same texts begin to give another vocabulary."""
_MOST_CHARACTERS = 1000


def trained(texts: Sequence[str], *, size: int, lowercase: bool) -> dict[str, int]:
    """At most ``size`` pieces of words with their ids, by how often they occur in ``texts``.

    Taken from the cache where these texts were seen before. Fewer pieces than asked for are
    warned of in the log: the rest of an embedding would be dead weight.
    """
    name = f"vocabulary-{_digest(texts, size, lowercase)[:32]}.json"
    pieces = json.loads(kept(name, lambda: _as_json(texts, size, lowercase)))
    if len(pieces) < size:
        _log.warning(
            "data.tokenizer.vocabulary: the training texts give only %d of %d pieces; with "
            "vocabulary: %d no embedding is larger than it need be",
            len(pieces), size, max(100, len(pieces)),
        )  # fmt: skip
    return {piece: number for number, piece in enumerate(pieces)}


def _as_json(texts: Sequence[str], size: int, lowercase: bool) -> bytes:
    return json.dumps(train(texts, size=size, lowercase=lowercase)).encode()


def train(texts: Sequence[str], *, size: int, lowercase: bool) -> list[str]:
    """The pieces in the order of their ids; not kept.

    The library numbers the inner characters of words in the order of a hash table, and breaks ties
    by these numbers; it drops the rarest characters in that order too. Naming the characters
    beforehand, twice, takes the chance out of both.
    """
    tokenizers = library()
    empty = wordpiece({}, lowercase=lowercase)
    characters = _characters(
        texts, empty.normalizer.normalize_str, most=(size - len(SPECIALS)) // 2
    )
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=size,
        special_tokens=[*SPECIALS, *(f"##{each}" for each in characters)],
        initial_alphabet=characters,
        limit_alphabet=len(characters),
        show_progress=False,
    )
    empty.train_from_iterator(texts, trainer)
    ids: dict[str, int] = empty.get_vocab(with_added_tokens=True)
    return sorted(ids, key=lambda piece: ids[piece])


def _characters(texts: Iterable[str], normalise: object, *, most: int) -> list[str]:
    """The most frequent characters after normalisation, sorted; spaces are none."""
    assert callable(normalise)
    raw: Counter[str] = Counter()
    for text in texts:
        raw.update(text)
    counts: Counter[str] = Counter()
    for character, count in raw.items():
        for each in normalise(character):
            counts[each] += count
    order = sorted(counts, key=lambda each: (-counts[each], each))
    return sorted([each for each in order if not each.isspace()][: min(most, _MOST_CHARACTERS)])


def _digest(texts: Iterable[str], size: int, lowercase: bool) -> str:
    said = [_RECIPE, library().__version__, size, lowercase]
    digest = hashlib.sha256(json.dumps(said).encode())
    for piece in _framed(texts):
        digest.update(piece)
    return digest.hexdigest()


def _framed(texts: Iterable[str]) -> Iterator[bytes]:
    """With its length before each text: two texts must not hash as one."""
    for text in texts:
        content = text.encode("utf-8", "surrogatepass")
        yield b"%d:" % len(content)
        yield content
