"""The docstrings of Python's standard library, by the subject of their package or module."""

import ast
import hashlib
import json
import os
import sys
import sysconfig
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kdsweep.data.cache import kept
from kdsweep.errors import SpecError

SUBJECTS: dict[str, tuple[str, ...]] = {
    "asyncio": ("asyncio",),
    "concurrency": ("_threading_local", "concurrent", "contextvars", "multiprocessing", "queue",
                    "sched", "selectors", "socketserver", "subprocess", "threading"),
    "debugging": ("bdb", "cProfile", "doctest", "pdb", "profile", "pstats", "timeit", "trace",
                  "traceback", "tracemalloc", "unittest", "warnings"),
    "files": ("_compression", "_pyio", "bz2", "compression", "filecmp", "fileinput", "fnmatch",
              "genericpath", "glob", "gzip", "io", "linecache", "lzma", "ntpath", "os", "pathlib",
              "posixpath", "shutil", "stat", "tarfile", "tempfile", "zipfile"),
    "imports": ("compileall", "importlib", "modulefinder", "pkgutil", "py_compile", "pyclbr",
                "runpy", "zipapp", "zipimport"),
    "mail": ("base64", "email", "imaplib", "mailbox", "mimetypes", "netrc", "poplib", "quopri",
             "smtplib"),
    "markup": ("html", "plistlib", "xml"),
    "numbers": ("_pydecimal", "colorsys", "decimal", "fractions", "numbers", "random",
                "statistics"),
    "web": ("ftplib", "hashlib", "hmac", "http", "ipaddress", "secrets", "socket", "ssl", "urllib",
            "uuid", "webbrowser", "wsgiref", "xmlrpc"),
}  # fmt: skip
"""Top-level packages and modules of each class, as the Library Reference groups them.

Only what every build of CPython has: tkinter, idlelib, ensurepip and the tests are left out, which
distributions package apart, and what later versions removed. A module that a version does not have
is passed over.
"""

_RECIPE = 1
"""To be raised when the same sources begin to give other texts."""
_FEWEST_WORDS = 4
_TESTS = ("test", "tests")
_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Docstring:
    """The text of one docstring, with its subject and the dotted name of its module."""

    text: str
    subject: str
    module: str


def sources(subjects: Sequence[str]) -> dict[str, list[Path]]:
    """The source files of each subject below the standard library, sorted by name.

    Raises:
        SpecError: this Python has no sources of a subject.
    """
    root = _root()
    found = {subject: _files(root, SUBJECTS[subject]) for subject in subjects}
    lacking = [subject for subject, files in found.items() if not files]
    if lacking:
        raise SpecError(
            f"data.classes: this Python has no source files of {', '.join(lacking)} in {root}; "
            "choose other classes, or a Python with the whole standard library"
        )
    return found


def docstrings(subjects: Sequence[str]) -> list[Docstring]:
    """All docstrings of the subjects, in the order of modules and lines; nothing is imported.

    One of fewer than four words is left out. A text that occurs under several subjects belongs to
    none, one that occurs again under the same belongs to the first module: no text is there twice,
    whatever its case and spacing. Taken from the cache while no source file changes.

    Raises:
        SpecError: as ``sources``, or a file is not Python.
    """
    root = _root()
    files = [
        (subject, file, _module(file, root))
        for subject, each in sources(subjects).items()
        for file in each
    ]
    states = [(module, subject, *_state(file)) for subject, file, module in files]
    said = json.dumps([_RECIPE, sys.version, str(root), states])
    name = f"docstrings-{hashlib.sha256(said.encode()).hexdigest()[:32]}.json"
    rows = json.loads(kept(name, lambda: json.dumps(_read(files)).encode()))
    return [Docstring(*row) for row in rows]


def _read(files: Iterable[tuple[str, Path, str]]) -> list[tuple[str, str, str]]:
    """Text, subject and module of each docstring, no text twice."""
    subjects_of: defaultdict[str, set[str]] = defaultdict(set)
    first: dict[str, tuple[str, str, str]] = {}
    for subject, file, module in files:
        for text in _texts(file):
            subjects_of[_plain(text)].add(subject)
            first.setdefault(_plain(text), (text, subject, module))
    return [row for text, row in first.items() if len(subjects_of[text]) == 1]


def _state(file: Path) -> tuple[int, int]:
    state = file.stat()
    return state.st_size, state.st_mtime_ns


def _root() -> Path:
    return Path(sysconfig.get_path("stdlib"))


def _files(root: Path, names: Sequence[str]) -> list[Path]:
    files = [root / f"{name}.py" for name in names if (root / f"{name}.py").is_file()]
    for name in names:
        for folder, inner, leaves in os.walk(root / name):
            inner[:] = [each for each in inner if each not in _TESTS]
            files += [Path(folder, leaf) for leaf in leaves if leaf.endswith(".py")]
    return sorted(files, key=lambda file: _module(file, root))


def _module(file: Path, root: Path) -> str:
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _texts(file: Path) -> Iterator[str]:
    """The docstrings of a file that are long enough, by line."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        raise SpecError(f"data: {file} cannot be read as Python: {error}") from error
    for node in _documented(tree):
        text = ast.get_docstring(node)
        if text is not None and len(text.split()) >= _FEWEST_WORDS:
            # A lone surrogate, which an escape in the source may be, is no text.
            yield text.encode("utf-8", "replace").decode()


def _documented(node: ast.AST) -> Iterator[_Documented]:
    """What may have a docstring, by line; expressions, which cannot hold any, are passed over."""
    if isinstance(node, _Documented):
        yield node
    for block in ("body", "handlers", "orelse", "finalbody", "cases"):
        for inner in getattr(node, block, ()):
            yield from _documented(inner)


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
