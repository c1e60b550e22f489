"""How large a stored text is, without reading it."""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class size(FunctionElement[int]):  # noqa: N801 - as SQLAlchemy's functions are spelled
    """Bytes of a text, or its characters where the database would have to read it anyway to tell."""

    type = Integer()
    inherit_cache = True


@compiles(size)
def _octets(element: size, compiler: SQLCompiler, **how: Any) -> str:
    return f"octet_length({compiler.process(element.clauses, **how)})"


@compiles(size, "sqlite")
def _sqlite_octets(element: size, compiler: SQLCompiler, **how: Any) -> str:
    name = "octet_length" if sqlite3.sqlite_version_info >= (3, 43) else "length"
    return f"{name}({compiler.process(element.clauses, **how)})"
