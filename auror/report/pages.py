"""The templates of the self-contained pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


def template(name: str, **filters: Callable[[Any], str]) -> Template:
    """``templates/NAME`` with autoescape; a name it uses and is not given is an error."""
    environment = Environment(
        loader=PackageLoader("auror.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    return environment.get_template(name)
