"""Settings: three layers, one model, errors of one line with the fix."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

from auror.deployment.settings import Section, load, to_toml
from auror.errors import ConfigError


class Session(Section):
    rounds: int = Field(default=3, ge=1)
    """How many rounds."""
    hosts: tuple[str, ...] = ("localhost",)
    audit: bool = False


class Store(Section):
    folder: Path = Path("runs")


class Whole(Section):
    session: Session = Session()
    store: Store = Store()


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "server.toml"
    path.write_text(text)
    return path


def test_later_layers_win(tmp_path: Path) -> None:
    path = written(tmp_path, '[session]\nrounds = 5\naudit = true\n[store]\nfolder = "a"')
    environment = {"APP__SESSION__ROUNDS": "7", "APP__STORE__FOLDER": "b", "OTHER": "x"}
    got = load(Whole, path, "APP", environment, ["store.folder=c", 'session.hosts=["x", "y"]'])
    assert got.session == Session(rounds=7, audit=True, hosts=("x", "y"))
    assert got.store.folder == Path("c")


def test_no_file_gives_the_defaults() -> None:
    assert load(Whole, None, "APP", {}) == Whole()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[session]\nronds = 4", "unknown key session.ronds; did you mean session.rounds?"),
        ("[sesion]\nrounds = 4", "unknown key sesion; did you mean session?"),
        ("rounds = 4", "did you mean session.rounds?"),
        ("[zzz]\nqqq = 4", "print_config lists all keys"),
        ("session = 4", "is a section"),
        ("[session]\nrounds = 0", "session.rounds = 0: Input should be greater than"),
        ("[session]\nrounds = 'x'", 'session.rounds = "x": Input should be a valid integer'),
        ("[session\n", "is not TOML"),
    ],
)
def test_mistakes_are_one_line_with_the_fix(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(Whole, written(tmp_path, text), "APP", {})
    assert says in str(caught.value)
    assert "server.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_environment_and_flags_are_errors() -> None:
    with pytest.raises(ConfigError, match=r"APP__SESSION__ROUND: unknown key session.round;"):
        load(Whole, None, "APP", {"APP__SESSION__ROUND": "4"})
    with pytest.raises(ConfigError, match=r"did you mean store.folder"):
        load(Whole, None, "APP", {}, ["store.foldr=x"])
    with pytest.raises(ConfigError, match=r"section.key=value"):
        load(Whole, None, "APP", {}, ["store.folder"])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"name another one"):
        load(Whole, tmp_path / "none.toml", "APP", {})


def test_printed_settings_load_again(tmp_path: Path) -> None:
    settings = Whole(session=Session(rounds=9, hosts=("a", 'b"c')), store=Store(folder=Path("x")))
    printed = to_toml(settings)
    assert "# How many rounds." in printed
    assert load(Whole, written(tmp_path, printed), "APP", {}) == settings
