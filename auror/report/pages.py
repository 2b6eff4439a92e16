"""The templates of the self-contained pages and of the model card."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape


def template(name: str, **filters: Callable[[Any], str]) -> Template:
    """``templates/NAME``, escaped where it is HTML; a name it uses and is not given is an error."""
    environment = Environment(
        loader=PackageLoader("auror.report"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(filters)
    return environment.get_template(name)


def naming(task: bytes) -> Callable[[Any], str]:
    """From a class number to what a page calls it: with its name, where ``task``, as an operator
    signs it, states names."""
    names = json.loads(task).get("classes") if task else None

    def named(label: Any) -> str:
        return f"{label} ({names[label]})" if names is not None else f"{label}"

    return named
