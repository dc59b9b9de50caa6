"""Reads of several shards show one moment: never an effect without its cause."""

import random
import threading
import time
import unittest

from lib import Cluster, SqlError

SECONDS = 4
KEYS = 24


def lookup(rows):
    return dict(rows)


def pair(rows):
    return {0: rows[0][0], 1: rows[0][1]}


# Each sees the value of key a and of key b, which is written after a's write was acknowledged.
READS = {
    "plain": ("SELECT id, v FROM t WHERE id IN (?1, ?2)", lookup),
    "scatter": ("SELECT id, v FROM t", lookup),
    "ordered": ("SELECT id, v FROM t ORDER BY v DESC, id", lookup),
    "aggregate": ("SELECT max(v) FILTER (WHERE id = ?1), max(v) FILTER (WHERE id = ?2) FROM t", pair),
    "grouped": ("SELECT id, sum(v) FROM t GROUP BY id", lookup),
    "join": ("SELECT a.v, b.v FROM t a JOIN t b ON b.id = ?2 WHERE a.id = ?1", pair),
    "gather": ("SELECT (SELECT v FROM t WHERE id = ?1), (SELECT v FROM t WHERE id = ?2)", pair),
    "union": ("SELECT id, v FROM t WHERE id = ?1 UNION ALL SELECT id, v FROM t WHERE id = ?2", lookup),
}
STREAMED = "scatter", "ordered"


def transient(error):
    return error.code in ("UNAVAILABLE", "UNKNOWN", "DEADLINE_EXCEEDED")


class Cut(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(tablets=3, shards=8, gates=2)
        cls.cluster.__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)

    def setUp(self):
        self.stop = threading.Event()
        self.failures = []
        self.n_reads = {}
        self.a, self.b = self.keys_far_apart()

    def keys_far_apart(self):
        """Two keys on different shards and different tablets."""
        with self.cluster.client() as c:
            c.execute("DROP TABLE IF EXISTS t")
            c.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)")
            where = {}
            for key in range(KEYS):
                c.execute("INSERT INTO t VALUES (?, 0)", (key,))
                stats = c.execute("SELECT v FROM t WHERE id = ?", (key,), stats=True).stats
                where[key] = stats.shards[0].shard, stats.shards[0].tablet
            for key in range(1, KEYS):
                if where[key][1] != where[0][1]:
                    return 0, key
        self.fail("all keys lie on one tablet")

    def write(self, gate=0):
        """n to a, its acknowledgement, n to b, its acknowledgement, n + 1 to a …"""
        with self.cluster.client(gate=gate) as c:
            n = 0
            while not self.stop.is_set():
                n += 1
                for key in self.a, self.b:
                    if not self.put(c, key, n):
                        return
            self.n_written = n

    def put(self, c, key, n):
        while not self.stop.is_set():
            try:
                c.execute("UPDATE t SET v = max(v, ?) WHERE id = ?", (n, key))
                return True
            except SqlError as e:
                if not transient(e):
                    self.failures.append(f"write: {e}")
                    return False
        return False

    def noise(self, gate=0):
        """Commits on all other shards, all the time."""
        rng = random.Random(7)
        keys = [k for k in range(KEYS) if k not in (self.a, self.b)]
        with self.cluster.client(gate=gate) as c:
            while not self.stop.is_set():
                try:
                    c.execute("UPDATE t SET v = v + 1 WHERE id = ?", (rng.choice(keys),))
                except SqlError as e:
                    if not transient(e):
                        self.failures.append(f"noise: {e}")

    def read(self, name, gate, streaming=False):
        sql, look = READS[name]
        params = (self.a, self.b) if "?1" in sql else ()
        with self.cluster.client(gate=gate) as c:
            ask = c.stream if streaming else c.execute
            while not self.stop.is_set():
                try:
                    rows = ask(sql, params).rows
                except SqlError as e:
                    if not transient(e):
                        self.failures.append(f"{name}: {e}")
                        return
                    continue
                seen = look(rows)
                cause, effect = (seen[0], seen[1]) if look is pair else (seen[self.a], seen[self.b])
                self.n_reads[name] = self.n_reads.get(name, 0) + 1
                if effect > cause:
                    self.failures.append(f"{name}: saw b = {effect}, but a = {cause}")
                    return

    def run_all(self, jobs, meanwhile=lambda: time.sleep(SECONDS)):
        threads = [threading.Thread(target=job, args=args) for job, *args in jobs]
        for t in threads:
            t.start()
        try:
            meanwhile()
        finally:
            self.stop.set()
            for t in threads:
                t.join()
        self.assertEqual(self.failures, [])

    def readers(self, gates=(0,)):
        jobs = [(self.read, name, gate) for name in READS for gate in gates]
        return jobs + [(self.read, name, gate, True) for name in STREAMED for gate in gates]

    def test_no_effect_before_its_cause(self):
        self.run_all([(self.write,), (self.noise,)] + self.readers())
        self.assertEqual(set(self.n_reads), set(READS))

    def test_through_two_gates(self):
        self.run_all([(self.write, 0), (self.noise, 1)] + self.readers(gates=(1,)))
        self.assertEqual(set(self.n_reads), set(READS))

    def test_while_tablets_crash(self):
        def crash():
            for i in range(3):
                time.sleep(0.7)
                self.cluster.kill(f"tablet-{i}")
                self.cluster.restart(f"tablet-{i}")
            time.sleep(1)

        self.run_all([(self.write,), (self.noise,)] + self.readers(gates=(0, 1)), crash)

    def test_what_two_statements_see(self):
        """The control: the same reads without a cut do meet effects before causes, so these tests can fail."""
        met = threading.Event()

        def read_apart():
            with self.cluster.client() as c:
                while not self.stop.is_set():
                    cause = c.rows("SELECT v FROM t WHERE id = ?", (self.a,))[0][0]
                    effect = c.rows("SELECT v FROM t WHERE id = ?", (self.b,))[0][0]
                    if effect > cause:
                        met.set()

        self.run_all([(self.write,), (read_apart,)], lambda: met.wait(30))
        self.assertTrue(met.is_set())

    def test_one_statement_one_snapshot(self):
        """However often a statement reads a table, it is the same table."""
        reads = [
            "SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM t)",
            "SELECT (SELECT sum(v) FROM t), (SELECT total(v) FROM t)",
            "SELECT count(*), (SELECT count(*) FROM t) FROM t",
            "SELECT (SELECT count(*) FROM t WHERE id = 100), (SELECT count(*) FROM t a JOIN t b USING (id) WHERE id = 100)",
        ]

        def insert():
            with self.cluster.client() as c:
                for key in range(100, 100000):
                    if self.stop.is_set():
                        return
                    c.execute("INSERT INTO t VALUES (?, ?)", (key, key))

        def read(sql):
            with self.cluster.client(gate=1) as c:
                while not self.stop.is_set():
                    rows = c.rows(sql)
                    self.n_reads[sql] = self.n_reads.get(sql, 0) + 1
                    if rows[0][0] != rows[0][1]:
                        self.failures.append(f"{sql}: {rows}")
                        return

        self.run_all([(insert,)] + [(read, sql) for sql in reads])
        self.assertEqual(set(self.n_reads), set(reads))


if __name__ == "__main__":
    unittest.main()
