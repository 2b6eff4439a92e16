"""Older tables become this version's; newer ones are refused."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, inspect, select

from auror.deployment.run_tables import REVISION, revisions
from auror.errors import ConfigError

MIGRATIONS = Path(__file__).with_name("migrations")


def revision_of(engine: Engine) -> str | None:
    """None: no tables of ours."""
    with engine.connect() as connection:
        if not inspect(connection).has_table(revisions.name):
            return None
        return connection.execute(select(revisions.c.version_num)).scalar()


def migrate(engine: Engine, path: Path) -> None:
    """Bring ``engine``'s tables to ``REVISION``, in one transaction.

    Raises:
        ConfigError: they are newer.
    """
    found = revision_of(engine)
    if found == REVISION:
        return
    # imported here: nothing needs it where nothing is old
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found not in known:
        raise ConfigError(
            f"{path} has revision {found}, this auror-server knows {', '.join(sorted(known))}: use"
            " the version that wrote it, or choose another server.run_dir"
        )
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, REVISION)
