"""Write docs/settings.md and the samples in deploy/ from the settings of the two programs."""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path

from auror_client import config as client
from auror_server import config as server

from auror.deployment.settings import Section, load, to_toml

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS: dict[str, tuple[type[Section], str, str]] = {
    "auror-server": (server.ServerConfig, server.PREFIX, "deploy/server.toml"),
    "auror-client": (client.ClientConfig, client.PREFIX, "deploy/client.toml"),
}
PAGE = "docs/settings.md"
HEAD = """# Settings

Made from the programs by `scripts/settings_page.py`; `--print-config` prints the same for the
settings in force. A setting comes from the file that `--config` names, then from a variable, then
from a flag; the later wins. An unknown one is an error that names the nearest known, and so is one
without effect. What ends in `_s` is in seconds.
"""


def shown(value: object) -> str:
    """As a file has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return f'"{getattr(value, "value", value)}"'


def bounds(annotation: object, metadata: list[object]) -> str:
    """What a value may be beyond its type."""
    if isinstance(annotation, types.GenericAlias | type):
        words = [
            f"{sign} {getattr(limit, name):g}"
            for limit in metadata
            for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
            if hasattr(limit, name)
        ]
        return ", ".join(words)
    return " or ".join(map(str, typing.get_args(annotation)))


def rows(model: type[Section]) -> Iterator[str]:
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield f"\n### [{name}]\n\n| setting | default | what it is |\n|---|---|---|"
            section = kind()
            for key, field in kind.model_fields.items():
                limits = bounds(field.annotation, field.metadata)
                text = " ".join((field.description or "").split()).replace("|", "\\|")
                text += f" ({limits})" if limits else ""
                yield f"| `{name}.{key}` | `{shown(getattr(section, key))}` | {text} |"


def page() -> str:
    lines = [HEAD.rstrip("\n")]
    for program, (model, prefix, sample) in PROGRAMS.items():
        variable = f"{prefix}__SECTION__KEY"
        lines += [f"\n## {program}\n", f"Variables are named `{variable}`. [Sample](../{sample})."]
        lines += rows(model)
    return "\n".join(lines) + "\n"


def sample(program: str) -> str:
    """The sample as it is, with every setting in it and the meanings of now."""
    model, prefix, path = PROGRAMS[program]
    return to_toml(load(model, ROOT / path, prefix, {})).rstrip("\n") + "\n"


def made() -> dict[str, str]:
    """Path → content."""
    samples = {path: sample(program) for program, (_, _, path) in PROGRAMS.items()}
    return {PAGE: page(), **samples}


def main() -> None:
    for path, text in made().items():
        (ROOT / path).write_text(text, encoding="utf-8")
        print(path, file=sys.stderr)


if __name__ == "__main__":
    main()
