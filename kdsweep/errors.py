"""What can go wrong, by whose hand: the sweep file, a trial, or the results on disk."""

import re
import sysconfig
import traceback
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import FrameType

_OF_OTHERS = (
    str(Path(__file__).resolve().parent),
    *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
)
_LONGEST_MESSAGE = 300
_USER_AND_PASSWORD = re.compile(
    # What some drivers take for a password may hold what ends an address; a port is none.
    # A path has one slash of an address.
    r"(?:(?<=://)|(?<=[A-Za-z0-9]{2}:/)(?!/))(?:[^/?#\s'\"]*|[^/?#\s:@'\"]*:(?!\d+[/?#])[^\s'\"]*)@"
    # Without a scheme: name:password@host:port.
    r"|(?<![\w/])[\w.+-]+:[^\s'\"@/:]+@(?=[\w.-]+:\d)"
)
_SECRET_ARGUMENT = re.compile(
    r"((?:password|passwd|pwd|token|secret|credentials?|signature|(?:api|access)_?key)(?:=|%3d))"
    r"[^&#\s'\"]*",
    re.IGNORECASE,
)


_CONTROL = re.compile(r"\r\n?|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def redacted(text: str) -> str:
    """``text`` without the user names, passwords and tokens that its addresses carry."""
    return _SECRET_ARGUMENT.sub(r"\1***", _USER_AND_PASSWORD.sub("", text))


def holds_secret(address: str) -> bool:
    """Whether an address carries a password or a token; a database's user name alone is none."""
    user = _USER_AND_PASSWORD.search(address)
    if user is not None and (":" in user[0] or address.startswith("http")):
        return True
    return _SECRET_ARGUMENT.search(address) is not None


def printable(text: str) -> str:
    """``text`` with its control characters spelled out (``\\x1b``), but for line ends and tabs.

    A terminal takes them for commands: they could retitle it, hide lines or paste into it.
    """
    return _CONTROL.sub(_spelled_out, text)


def _spelled_out(found: re.Match[str]) -> str:
    # Bars that are drawn over and over end each state with a carriage return.
    return "\n" if found[0] in ("\r", "\r\n") else f"\\x{ord(found[0]):02x}"


class KdsweepError(Exception):
    """One or more problems that a person can mend, each a full sentence of its own.

    The command line prints every problem and exits with 2, without a traceback. What they quote
    may be an address with a password: it is taken out.
    """

    def __init__(self, problems: str | Iterable[str], *, source: object = None) -> None:
        given = (problems,) if isinstance(problems, str) else problems
        self.problems: tuple[str, ...] = tuple(map(redacted, given))
        self.source = None if source is None else redacted(str(source))
        super().__init__(self.problems, self.source)

    def __str__(self) -> str:
        where = f"{self.source}: " if self.source else ""
        return "\n".join(where + problem for problem in self.problems)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.problems, self.source))


def _rebuild(kind: type[KdsweepError], problems: Sequence[str], source: str | None) -> KdsweepError:
    return kind(problems, source=source)


class SpecError(KdsweepError):
    """A sweep file, or something that it names, is not what it should be."""


class TrialError(KdsweepError):
    """One trial cannot go on; the others can."""


class ResultError(KdsweepError):
    """A run directory or a record in it is missing, foreign or damaged."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> str:
    """The sentence for a name that does not exist, with the nearest one that does."""
    names = sorted(known)
    close = get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"no {kind} named {name!r}{hint} (have: {', '.join(names)})"


def in_one_line(error: BaseException, own: Collection[str] = ()) -> str:
    """``net.py, line 7, in forward: KeyError: 'x'``: the innermost place in code of one's own.

    That is code outside of this package, of Python and of what is installed, and modules or
    packages named in ``own`` wherever they lie. Where the error came through none, the innermost
    place of all.
    """
    place = _own_place(error, own) or _innermost(error)
    return f"{place}: {_message(error)}" if place else _message(error)


def in_own_code(error: BaseException, own: Collection[str] = ()) -> bool:
    """Whether an error came through code of the user's own, as ``in_one_line`` has it."""
    return _own_place(error, own) is not None


def whole_traceback(error: BaseException) -> str:
    """All that Python has to say of an error."""
    return redacted("".join(traceback.format_exception(error)).strip())


def _own_place(error: BaseException, own: Collection[str]) -> str | None:
    frames = [(frame, line) for frame, line in _frames(error) if _is_own(frame, own)]
    return _place(*frames[-1]) if frames else None


def _innermost(error: BaseException) -> str | None:
    frames = _frames(error)
    return _place(*frames[-1]) if frames else None


def _frames(error: BaseException) -> list[tuple[FrameType, int]]:
    return list(traceback.walk_tb(error.__traceback__))


def _is_own(frame: FrameType, own: Collection[str]) -> bool:
    if str(frame.f_globals.get("__name__")).partition(".")[0] in own:
        return True
    file = frame.f_code.co_filename
    return not file.startswith(("<", *_OF_OTHERS))


def _place(frame: FrameType, line: int) -> str:
    file = Path(frame.f_code.co_filename)
    here = Path.cwd()
    shown = file.relative_to(here) if file.is_relative_to(here) else file
    return f"{shown}, line {line}, in {frame.f_code.co_name}"


def _message(error: BaseException) -> str:
    text = redacted(f"{type(error).__name__}: {str(error).strip()}".removesuffix(": "))
    line = text.splitlines()[0]
    return line if len(line) <= _LONGEST_MESSAGE else line[: _LONGEST_MESSAGE - 3] + "..."
