"""Those that are asked: Shoal through a gate, and plain SQLite."""

import dataclasses
import itertools
import sqlite3

from lib import Keyspace, Oracle, SqlError

STEPS = 1000  # virtual machine steps between looks at the budget
MAX_STEPS = 1500 * STEPS
MAX_ROWS = 5000
serial = itertools.count(1)


@dataclasses.dataclass
class Answer:
    """code: SQLite's extended result code if it failed, with its message. refused: why Shoal does not do this yet. failed: an error that
    is none of SQLite's."""

    columns: list = dataclasses.field(default_factory=list)
    rows: list = dataclasses.field(default_factory=list)
    n_affected: int = 0
    code: int = 0
    message: str = ""
    refused: str = ""
    failed: str = ""
    plan: str = ""

    def __str__(self):
        if self.refused or self.failed:
            return self.refused or self.failed
        if self.code:
            return f"error {self.code}: {self.message}"
        shown = "".join(f"\n    {row}" for row in self.rows[:20])
        return f"{len(self.rows)} rows of {self.columns}{shown}{' …' if len(self.rows) > 20 else ''}"


class TooCostly(Exception):
    """Nobody waits for it."""


class Sqlite:
    """Plain SQLite in memory. prepare: statements that make it choose other plans."""

    label = "sqlite3"

    def __init__(self, prepare=()):
        self.oracle = Oracle()
        self.steps = 0
        self.oracle.db.set_progress_handler(self.count_steps, STEPS)
        for sql in prepare:
            self.oracle.db.execute(sql)

    def count_steps(self):
        self.steps += STEPS
        return self.steps > MAX_STEPS

    def execute(self, sql, params=(), with_plan=False):
        """An Answer. Raises TooCostly."""
        del with_plan
        self.steps = 0
        try:
            cursor = self.oracle.db.execute(sql, params)
            columns = [d[0] for d in cursor.description or ()]
            rows = cursor.fetchmany(MAX_ROWS + 1) if columns else []
        except sqlite3.Error as e:
            if getattr(e, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
                raise TooCostly from None
            return Answer(code=getattr(e, "sqlite_errorcode", 1), message=str(e))
        if len(rows) > MAX_ROWS:
            raise TooCostly
        return Answer(columns, rows, max(cursor.rowcount, 0))

    def fresh(self):
        return Sqlite()

    def close(self):
        self.oracle.close()


class Shoal:
    """A keyspace of its own with so many shards, dropped in the end."""

    def __init__(self, gate, topo, shards):
        self.addresses, self.shards = (gate, topo), shards
        self.label = f"{shards} shard{'s' if shards > 1 else ''}"
        self.keyspace = Keyspace(gate, topo, f"random{next(serial)}", shards)

    def execute(self, sql, params=(), with_plan=False):
        try:
            result = self.keyspace.client.execute(sql, params, stats=with_plan)
        except SqlError as e:
            if e.unsupported:
                return Answer(refused=e.reason)
            if not e.extended_code:
                return Answer(failed=str(e))
            return Answer(code=e.extended_code, message=e.metadata.get("sqlite_message", e.message))
        return Answer(result.columns, result.rows, result.rows_affected, plan=result.stats.plan if result.stats else "")

    def fresh(self):
        return Shoal(*self.addresses, self.shards)

    def close(self):
        self.keyspace.close()
