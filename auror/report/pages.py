"""The templates of the self-contained pages and of the model card."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape

from auror.deployment.exclusion_words import class_names


def labelled(page: str) -> str:
    """``page`` with the name of its column on every cell: narrow screens show no heads."""

    def row(found: re.Match[str], names: list[str]) -> str:
        left = iter(names)
        return re.sub(r"<td\b", lambda _: f'<td data-label="{next(left, "")}"', found[0])

    def table(found: re.Match[str]) -> str:
        heads = re.findall(r"<th\b[^>]*>(.*?)</th>", found[0], re.DOTALL)
        names = [re.sub(r"<[^>]*>", "", head).replace('"', "&quot;") for head in heads]
        return re.sub(r"<tr\b.*?</tr>", lambda r: row(r, names), found[0], flags=re.DOTALL)

    return re.sub(r"<table\b.*?</table>", table, page, flags=re.DOTALL)


class Page(Template):
    """Of HTML, what is rendered has its cells labelled."""

    def render(self, *args: Any, **values: Any) -> str:
        text = super().render(*args, **values)
        return labelled(text) if (self.name or "").endswith(".html") else text


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
    environment.template_class = Page
    environment.filters.update(filters)
    return environment.get_template(name)


def naming(task: bytes) -> Callable[[int], str]:
    """From a class number to what a page calls it: with its name, where ``task``, as an operator
    signs it, states names."""
    names = class_names(task)

    def named(label: int) -> str:
        return f"{label} ({names[label]})" if label < len(names) else f"{label}"

    return named
