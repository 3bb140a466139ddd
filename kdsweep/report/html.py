"""Pages that stand alone: Plotly in them, compressed, and a policy under which nothing is fetched.

Each script is named by its hash, so that a page with the same content is the same file, and no
script runs that a name, an error or another string of a record might smuggle in.
"""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

PAGES = files("kdsweep.report") / "page"


def picture_page(name: str, title: str, caption: str, figure: Any) -> bytes:
    """A page with one figure; it needs no other file, also in the frame of MLflow's UI."""
    return render(
        "picture.html", title=title, caption=caption, name=name,
        figures=figures_json({name: figure}), scripts=("draw.js",),
    )  # fmt: skip


def render(template: str, *, scripts: tuple[str, ...], figures: str, **values: Any) -> bytes:
    """A page of ``page/`` with its scripts; what is put into it is escaped."""
    from markupsafe import Markup

    source = "".join(text_of(name) for name in scripts)
    text = _templates().get_template(template).render(
        script=Markup(source), figures=Markup(figures), plotly=Markup(_packed_plotly()),
        policy=_policy(source), **values,
    )  # fmt: skip
    return str(text).encode()


def figures_json(figures: Mapping[str, Any]) -> str:
    """Figures by name as JSON that may stand in a script element: no ``<`` is left in it."""
    plain = {name: json.loads(figure.to_json()) for name, figure in figures.items()}
    text = json.dumps(plain, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("&", "\\u0026")


def text_of(name: str) -> str:
    """A file of ``page/``."""
    return (PAGES / name).read_text(encoding="utf-8")


def breakable(text: str, longest: int = 20) -> Any:
    """Escaped text that may be broken before a letter after ``+``, ``.``, ``=`` and ``/`` too.

    Of parts above the ``longest`` also after ``_``.
    """
    from markupsafe import Markup, escape

    found: list[str] = []
    for part in re.split(r"(?<=[+.=/])(?=[^\W\d])", text):
        is_long = max(map(len, part.split()), default=0) > longest
        found += re.split(r"(?<=_)(?=[^\W_])", part) if is_long else [part]
    return Markup("<wbr>").join(escape(part) for part in found)


@cache
def _templates() -> Any:
    from jinja2 import DictLoader, Environment, StrictUndefined

    pages = {each.name: each.read_text(encoding="utf-8")
             for each in PAGES.iterdir() if each.name.endswith((".html", ".css"))}  # fmt: skip
    environment = Environment(
        loader=DictLoader(pages), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["breakable"] = breakable
    return environment


@cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


@cache
def _packed_plotly() -> str:
    return base64.b64encode(gzip.compress(_plotly().encode(), mtime=0)).decode()


def _policy(script: str) -> str:
    hashes = " ".join(_hash(source) for source in (script, _plotly()))
    # Plotly sets styles of its own, and shows what is to be saved as an image.
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


@cache
def _hash(source: str) -> str:
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
    return f"'sha256-{digest}'"
