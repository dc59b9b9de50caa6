"""A connection class for an sqllogictest runner (slt.py --conn slt_conn:Shoal): each connection has a keyspace of its own.

The cluster is named by SHOAL_CLUSTER (a directory of deploy/local/cluster), or by SHOAL_GATE and SHOAL_TOPO;
SHOAL_SLT_SHARDS is the number of shards of a keyspace (3).

The files' queries are what is tested; some of their set-up needs writes over several shards, which are refused until there are
transactions. With SHOAL_SLT_PLAIN_PATH=1 such a write is run on a plain SQLite beside, and what it changed is written row by
row. Each refused statement still counts as unsupported.
"""

import itertools
import json
import os
import pathlib
import re
import sqlite3
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from lib import Keyspace, SqlError  # noqa: E402

numbers = itertools.count()
refused_queries = []  # of all connections


class Unsupported(Exception):
    """Refused with UNIMPLEMENTED: not a wrong answer."""

    unsupported = True


def addresses():
    if "SHOAL_CLUSTER" in os.environ:
        described = json.loads((pathlib.Path(os.environ["SHOAL_CLUSTER"]) / "cluster.json").read_text(encoding="utf-8"))
        return described["gates"][0]["address"], described["topos"][0]["address"]
    return os.environ["SHOAL_GATE"], os.environ["SHOAL_TOPO"]


def split_statements(sql):
    """The statements of a text; strings, comments and triggers are understood."""
    pending = ""
    for part in re.findall(r"[^;]*;|[^;]+$", sql):
        pending += part
        if sqlite3.complete_statement(pending):
            if pending.strip(" \t\r\n;"):
                yield pending
            pending = ""
    if pending.strip():
        yield pending


class PlainPath:
    """A plain SQLite that has run the same statements: tells what a refused write would have changed."""

    def __init__(self):
        self.db = sqlite3.connect(":memory:", isolation_level=None)

    def run(self, sql):
        try:
            self.db.execute(sql)
        except sqlite3.Error:
            pass  # the other side has said so, or the file expects it

    def columns(self, table):
        return self.db.execute("SELECT name, pk FROM pragma_table_info(?)", (table,)).fetchall()

    def rows(self, table):
        return {row[0]: row[1:] for row in self.db.execute(f'SELECT rowid, * FROM "{table}"')}

    def changes(self, sql):
        """Runs a write; yields statements and parameters that make the same changes row by row."""
        table = re.match(
            r"\s*(?:INSERT(?:\s+OR\s+\w+)?\s+INTO|REPLACE\s+INTO|DELETE\s+FROM|UPDATE(?:\s+OR\s+\w+)?)\s+[\"\[`]?(\w+)",
            sql, re.I).group(1)
        before = self.rows(table)
        self.run(sql)
        after = self.rows(table)
        columns = self.columns(table)
        names = [name for name, _ in columns]
        # The rowid can be given where it is what the table is sharded by: no key and no UNIQUE says otherwise.
        has_key = any(pk for _, pk in columns) or self.db.execute(
            'SELECT 1 FROM pragma_index_list(?) WHERE "unique"', (table,)).fetchone()
        for rowid, row in before.items():
            if after.get(rowid) != row:
                yield f'DELETE FROM "{table}" WHERE rowid = ?', [rowid]
        for rowid, row in after.items():
            if before.get(rowid) != row:
                given = names if has_key else ["rowid", *names]
                values = list(row) if has_key else [rowid, *row]
                listed = ", ".join(f'"{name}"' for name in given)
                yield f'INSERT INTO "{table}" ({listed}) VALUES ({", ".join("?" * len(given))})', values


class Shoal:
    name = "sqlite"  # the tests' skipif and onlyif mean the dialect

    def __init__(self):
        gate, topo = addresses()
        self.plain = PlainPath() if os.environ.get("SHOAL_SLT_PLAIN_PATH") else None
        self.refused_names = set()  # of what could not be made
        self.keyspace = Keyspace(gate, topo, f"slt_{os.getpid()}_{next(numbers)}", int(os.environ.get("SHOAL_SLT_SHARDS", "3")))
        self.client = self.keyspace.client

    def execute(self, sql):
        rows = []
        for statement in split_statements(sql):
            is_write = re.match(r"\s*(INSERT|REPLACE|UPDATE|DELETE)\b", statement, re.I)
            created = re.match(r"\s*CREATE\b.*?\b(?:TABLE|VIEW|TRIGGER|INDEX)\s+(?:IF NOT EXISTS\s+)?(\w+)", statement, re.I)
            dropped = re.match(r"\s*DROP\s+\w+\s+(\w+)", statement, re.I)
            try:
                result = self.client.execute(statement)
            except SqlError as e:
                if dropped and dropped[1] in self.refused_names:
                    raise Unsupported(f"{dropped[1]} has not been made") from None
                if not e.unsupported:
                    raise
                if created:
                    self.refused_names.add(created[1])
                if self.plain and is_write:
                    for change, params in self.plain.changes(statement):
                        self.client.execute(change, params)
                if re.match(r"\s*(SELECT|WITH|VALUES)\b", statement, re.I):
                    refused_queries.append(f"{statement}: {e}")
                raise Unsupported(str(e)) from None
            if self.plain and (is_write or re.match(r"\s*(CREATE|DROP)\b", statement, re.I)):
                self.plain.run(statement)
            if result.columns:
                rows = result.rows
        return rows

    def close(self):
        self.keyspace.close()
