"""What is known of the rows: ANALYZE, the looks in the background, and that all gates know it."""

import unittest
import urllib.request

from lib import Cluster, SqlError, wait_for
from lib.protos import internal_pb2, internal_pb2_grpc


def statistics(cluster):
    """table: (rows, {index: (rows, distinct)}), as topo keeps it."""
    topo = cluster.topo_client()
    stub = internal_pb2_grpc.TopoInternalStub(topo.channel)
    reply = topo.call(stub.GetStatistics, internal_pb2.GetStatisticsRequest())
    return {t.statistics.table: (t.statistics.rows,
                                 {i.name: (i.rows, tuple(i.distinct)) for i in t.statistics.indexes})
            for t in reply.tables}


def metric(address, name):
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as page:
        for line in page.read().decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
    raise AssertionError(f"no metric {name}")


def fill(client):
    client.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, few, many, part)")
    client.execute("CREATE INDEX t_few ON t (few, id)")
    client.execute("CREATE INDEX t_many ON t (many)")
    client.execute("CREATE INDEX t_part ON t (part) WHERE part IS NOT NULL")
    client.execute("CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID")
    client.execute("CREATE TABLE u (k, v) UNSHARDED")
    client.execute("CREATE TABLE empty (a)")
    for i in range(400):
        client.execute("INSERT INTO t VALUES (?, ?, ?, ?)", [i, i % 4, f"v{i}", i if i % 10 == 0 else None])
    for i in range(30):
        client.execute("INSERT INTO w VALUES (?, ?)", [f"k{i}", i])
    client.execute("INSERT INTO u VALUES (1, 1), (2, 2), (3, 3)")


class Analyze(unittest.TestCase):
    def test_all_of_it_and_parts(self):
        with Cluster(tablets=2, shards=4, gates=2, flags=["gate:--statistics-interval=0"]) as cluster:
            client, other = cluster.client(), cluster.client(gate=1)
            fill(client)
            self.assertEqual(statistics(cluster), {})
            result = client.execute("ANALYZE")
            self.assertEqual((result.columns, result.rows), ([], []))
            known = statistics(cluster)
            self.assertEqual({t: rows for t, (rows, _) in known.items()}, {"t": 400, "w": 30, "u": 3, "empty": 0})
            self.assertEqual(known["t"][1]["t_few"], (400, (4, 400)))
            self.assertEqual(known["t"][1]["t_many"], (400, (400,)))
            self.assertEqual(known["t"][1]["t_part"], (40, (40,)))
            self.assertEqual(known["w"][1]["w"], (30, (30,)))
            self.check_gates(cluster, 4)

            for i in range(50):
                other.execute("INSERT INTO t VALUES (?, 0, 'x', NULL)", [1000 + i])
                other.execute("INSERT INTO w VALUES (?, 0)", [f"x{i}"])
            other.execute("ANALYZE main.T_FEW")
            self.assertEqual(statistics(cluster)["t"][0], 450)
            self.assertEqual(statistics(cluster)["w"][0], 30)
            other.execute("/* of one table */ ANALYZE w;")
            self.assertEqual(statistics(cluster)["w"][0], 80)
            self.assertEqual([r[0] for r in other.execute("EXPLAIN ANALYZE w").rows], ["analyze", "└─ part 1"])

            # What the shards plan with it changes no answer; what SQLite keeps there is not to be seen.
            self.assertEqual(other.execute("SELECT count(*), sum(id) FROM t WHERE few = 3").rows, [(100, 20100)])
            for sql in ("SELECT * FROM sqlite_stat1", "INSERT INTO sqlite_stat1 VALUES ('t', NULL, '1')",
                        "DROP TABLE sqlite_stat1", "ANALYZE nope", "ANALYZE nope.t"):
                with self.assertRaises(SqlError, msg=sql):
                    client.execute(sql)

            client.execute("DROP TABLE w")
            self.assertEqual(set(statistics(cluster)), {"t", "u", "empty"})
            self.check_gates(cluster, 3)
            cluster.kill("topo-0")
            with self.assertRaises(SqlError) as failed:
                client.execute("ANALYZE")
            self.assertEqual(failed.exception.code, "UNAVAILABLE")
            cluster.restart("topo-0")
            cluster.kill("gate-1")
            cluster.restart("gate-1")
            self.check_gates(cluster, 3)

    def check_gates(self, cluster, n_tables):
        """All of them know of so many tables, without being asked."""
        for gate in cluster.describe()["gates"]:
            wait_for(gate["id"], lambda http=gate["http"]: metric(http, "shoal_gate_statistics_tables") == n_tables)


class Background(unittest.TestCase):
    def test_writes_are_noticed(self):
        with Cluster(tablets=2, shards=4, flags=["gate:--statistics-interval=100ms"]) as cluster:
            client = cluster.client()
            client.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
            client.execute("CREATE TABLE idle (id INTEGER PRIMARY KEY, a)")
            client.execute("CREATE INDEX ta ON t (a)")
            client.execute("INSERT INTO t VALUES (1, 1)")
            wait_for("the first look", lambda: statistics(cluster).get("t", (0,))[0] >= 1)
            for i in range(400):
                client.execute("INSERT INTO t VALUES (?, 7)", [10 + i])
            # A look may come before the last 100 + 10 %, and is not worth telling if it changes less than 20 %: S rows are told
            # if R are seen, R <= 1.2 S, and 401 - R < 100 + S / 10, so S > 231. Likewise below: R - 1 < 100 + S / 10, S <= 1.25 R.
            wait_for("the next", lambda: statistics(cluster)["t"][0] >= 231)
            self.assertEqual(statistics(cluster)["t"][1]["ta"][1], (2,))
            self.assertNotIn("idle", statistics(cluster))
            for i in range(400):
                client.execute("DELETE FROM t WHERE id = ?", [10 + i])
            wait_for("what was deleted", lambda: statistics(cluster)["t"][0] <= 145)


if __name__ == "__main__":
    unittest.main()
