"""A client that stays: one training after the other, and days without a server in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from auror.deployment.logs import logger
from auror.errors import UserError
from auror_client.clock import Clock
from auror_client.driver import ClientEnding, ClientSession
from auror_client.exclusion import check_excluded
from auror_client.final_model import check_released
from auror_client.participation import check_took_part

BETWEEN_S = 5.0
"""Seconds after a goodbye: the server that said it is ending."""
_log = logger("client")


async def stand(begin: Callable[[], ClientSession], clock: Clock) -> NoReturn:
    """Take part in every training to come. ``begin``: this client, fresh for the next one; it has
    to be one that never gives up.

    What one training ends with is said in the log, and is no reason not to join the next.

    Raises:
        UserError: the client could take part in none: excluded, its budget spent, its certificate
            or policy refused.
    """
    while True:
        session = begin()
        answering = session.answering
        try:
            ending = await session.run()
        finally:
            await answering.close()
        if answering.excluded is not None:
            check_excluded([(answering.account.client, answering.excluded)])
        finished = ending is ClientEnding.FINISHED
        try:
            check_took_part([answering.participation], finished)
            if finished:
                check_released([answering.final])
        except UserError as error:
            _log.error(str(error), client=int(answering.account.client))
        _log.info("waiting for the next training", client=int(answering.account.client))
        await clock.sleep(BETWEEN_S)
