"""What all tables share.

Every row has an owner, and the owner is part of every key: the ids that clients make cannot collide or be probed
across owners, and the foreign keys make a reference from one owner's rows to another's impossible.
Times are Unix milliseconds.
"""

from __future__ import annotations

from sqlalchemy import MetaData, String

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

OWNER = String(64)
ID = String(36)
