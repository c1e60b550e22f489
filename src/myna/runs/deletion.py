"""Deleting chats while answers are written in them: these end unwritten, as soon as their rows are gone."""

from __future__ import annotations

from myna.runs.answer import Answer
from myna.runs.answers import Answers
from myna.store import chats, projects
from myna.store.database import Database


async def delete_chats(
    database: Database, answers: Answers, owner: str, chosen: chats.Chosen, *, project_id: str | None = None
) -> list[str]:
    """Delete those of the chosen chats that there are, and a project with them, in one transaction; the chats' ids.

    Raises:
        NotFound: the owner has no such project.
    """
    doomed: list[Answer] = []
    async with database.write(owner) as scope:
        deleted = await chats.delete_all(scope, chosen)
        if project_id is not None:
            await projects.delete(scope, project_id)
        gone = frozenset(deleted)

        def discard() -> None:
            for answer in answers.of(owner):
                if answer.log.run.chat_id in gone:
                    answer.log.discard()
                    doomed.append(answer)

        scope.transaction.after_commit.append(discard)
    for answer in doomed:
        await answer.interrupt()
    return deleted
