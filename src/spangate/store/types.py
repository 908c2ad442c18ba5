"""The column types that mean the same on SQLite, PostgreSQL, MySQL/MariaDB and SQL Server.

Text compares by code point everywhere (binary collations where the default ignores case), Unicode is kept
everywhere (NVARCHAR on SQL Server), and each indexed column has a length that fits every server's index.
"""

from typing import Any

from sqlalchemy import LargeBinary, String, Unicode, UnicodeText
from sqlalchemy.dialects import mssql, mysql
from sqlalchemy.types import TypeEngine

_MSSQL_BINARY = "Latin1_General_100_BIN2"

# InnoDB's defaults differ by version; these do not. 250 four-byte characters and an id fit its 3,072-byte index keys.
TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def Id(length: int = 64) -> TypeEngine[str]:
    """ASCII that we or a provider made up: ids, states, names of formats."""
    return String(length).with_variant(mssql.VARCHAR(length, collation=_MSSQL_BINARY), "mssql")


def Words(length: int) -> TypeEngine[str]:
    """Text of people, short enough to be indexed or listed."""
    return Unicode(length).with_variant(mssql.NVARCHAR(length, collation=_MSSQL_BINARY), "mssql")


def Prose() -> TypeEngine[str]:
    """Text of people without a limit of its own. Cannot be indexed."""
    return UnicodeText().with_variant(mssql.NVARCHAR(None, collation=_MSSQL_BINARY), "mssql").with_variant(mysql.LONGTEXT(), "mysql")


def Bytes() -> TypeEngine[bytes]:
    """Bytes without a limit of its own; MySQL's plain BLOB ends at 64 KiB."""
    return LargeBinary().with_variant(mysql.LONGBLOB(), "mysql")
