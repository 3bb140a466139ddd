"""A sweep outlasts whoever reads its output: a pager that is closed, a terminal that is gone."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, TextIO, cast


@contextmanager
def outlasting() -> Iterator[None]:
    """What cannot be printed is dropped and ends nothing: all of it is in the records as well."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(_outlasting, before)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        sys.stdout, sys.stderr = before


class _Raw(io.FileIO):
    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(memoryview(data).cast("B"))


def _outlasting(stream: TextIO) -> TextIO:
    is_buffered = isinstance(getattr(stream, "buffer", None), io.BufferedWriter)
    if not isinstance(stream, io.TextIOWrapper) or not (
        is_buffered or isinstance(stream.buffer, io.FileIO)  # as PYTHONUNBUFFERED has it
    ):
        return stream  # of a test, or of a notebook
    with suppress(OSError):
        stream.flush()
    raw = _Raw(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw) if is_buffered else cast("BinaryIO", raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
