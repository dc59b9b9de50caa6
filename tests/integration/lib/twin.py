"""A keyspace and a plain SQLite that are given the same statements and must say the same."""

import concurrent.futures
import itertools

from lib.client import Client, SqlError
from lib.cluster import Cluster
from lib.keyspace import create_keyspace
from lib.oracle import Oracle, assert_same, assert_same_error

# What the issue asks for: shards over tablets.
TOPOLOGIES = [(1, 1), (3, 2), (8, 4)]

serial = itertools.count(1)


class Twin:
    """with Twin(cluster, 3) as twin: twin.run("CREATE TABLE …"); twin.same("SELECT …")"""

    def __init__(self, cluster, shards, gate=0):
        self.cluster = cluster
        self.label = f"{shards} shards"
        self.keyspace = f"twin{next(serial)}"
        self.client = Client(cluster.describe()["gates"][gate]["address"], self.keyspace)
        self.oracle = Oracle()
        self.last_insert_id = 0
        with cluster.topo_client() as topo:
            create_keyspace(topo, self.client, shards)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()
        self.oracle.close()

    def run(self, sql, params=(), shoal_sql=None):
        """A statement that both accept; what it tells of its rows must be the same. shoal_sql: with words of ours."""
        want = self.oracle.execute(sql, params)
        got = self.client.execute(shoal_sql or sql, params)
        where = f"{self.label}: {sql} {params or ''}"
        verb = sql.split()[0].upper()
        if verb in ("INSERT", "UPDATE", "DELETE", "REPLACE"):
            assert got.rows_affected == want.rows_affected, \
                f"{where}: {got.rows_affected} rows affected, SQLite: {want.rows_affected}"
        # A call without a session has inserted nothing before; SQLite's connection may have.
        last, self.last_insert_id = self.last_insert_id, want.last_insert_id
        if verb in ("INSERT", "REPLACE") and (got.last_insert_id or last != want.last_insert_id):
            assert got.last_insert_id == want.last_insert_id, \
                f"{where}: last rowid {got.last_insert_id}, SQLite's: {want.last_insert_id}"
        return got

    def run_each(self, sql, rows):
        for row in rows:
            self.run(sql, row)

    def same(self, sql, params=(), **options):
        return assert_same(self.client, self.oracle, sql, params, label=self.label, **options)

    def same_error(self, sql, params=()):
        return assert_same_error(self.client, self.oracle, sql, params, label=self.label)

    def same_or_unsupported(self, sql, params=()):
        """True: it was answered. What is not there yet must say so and change nothing."""
        try:
            self.same(sql, params)
        except SqlError as e:
            assert e.unsupported, f"{self.label}: {sql}: {e}"
            return False
        return True

    def shards_with_rows(self, table):
        """Shards that hold rows of the table."""
        stats = self.client.execute(f'SELECT 1 FROM "{table}"', stats=True).stats
        return [s.shard for s in stats.shards if s.rows]

    def plan(self, sql, params=()):
        return self.client.execute(sql, params, stats=True).stats.plan


class Clusters:
    """One cluster for each of TOPOLOGIES; started at once, since each waits most of the time."""

    def __init__(self, topologies=tuple(TOPOLOGIES), gates=1):
        self.clusters = [(shards, Cluster(tablets=tablets, shards=shards, gates=gates))
                         for shards, tablets in topologies]

    def start(self):
        with concurrent.futures.ThreadPoolExecutor(len(self.clusters)) as pool:
            list(pool.map(lambda c: c[1].__enter__(), self.clusters))
        return self

    def stop(self):
        for _, cluster in self.clusters:
            cluster.close()

    def twins(self):
        """A fresh keyspace and oracle on each."""
        for shards, cluster in self.clusters:
            with Twin(cluster, shards) as twin:
                yield twin
