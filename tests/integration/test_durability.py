"""kill -9 of any process: what was acknowledged is there, what was refused is not, nobody hangs, and repeated requests
are done once."""

import threading
import unittest

from lib import Client, Cluster, SqlError, wait_for

TIMEOUT_S = 20  # of a call; none may need it
VICTIMS = ["tablet-0", "gate-0", "topo-0", "tablet-1", "tablet-0", "gate-0"]


class Writers:
    """Threads that write until told to stop, each through a connection of its own."""

    def __init__(self, cluster, n, work):
        self.cluster = cluster
        self.stop = threading.Event()
        self.errors = []
        self.counts = [0] * n
        self.threads = [threading.Thread(target=self.run, args=(i, work)) for i in range(n)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for t in self.threads:
            t.join()
        if self.errors:
            raise self.errors[0]

    def run(self, i, work):
        try:
            k = 0
            while not self.stop.is_set():
                # The gate may have come back under another address.
                with Client(self.cluster.describe()["gates"][0]["address"], timeout=TIMEOUT_S) as client:
                    while not self.stop.is_set():
                        k += 1
                        if not work(client, i, k):
                            break
                        self.counts[i] += 1
        except BaseException as e:
            self.errors.append(e)
            self.stop.set()

    def await_progress(self, each=5):
        before = list(self.counts)
        wait_for("writes of every thread", lambda: self.errors or
                 all(now >= then + each for now, then in zip(self.counts, before)))


def check_code(e):
    """Nothing else is told while something is away; in particular nobody's deadline passes."""
    assert e.code in ("UNAVAILABLE", "UNKNOWN"), e
    if e.code == "UNKNOWN":
        assert e.reason == "OUTCOME_UNKNOWN", e


class Kill(unittest.TestCase):
    def kill_each(self, cluster, writers):
        for victim in VICTIMS:
            writers.await_progress()
            cluster.kill(victim)
            if victim == "topo-0":
                writers.await_progress()  # topo is in nobody's way
            cluster.restart(victim)
        writers.await_progress()

    def test_acknowledged_writes_are_there(self):
        with Cluster(tablets=2, shards=6) as cluster:
            cluster.client().execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
            acked, refused, unknown = set(), set(), set()

            def work(client, i, k):
                row = k * 10 + i
                try:
                    client.execute("INSERT INTO t VALUES (?, ?)", (row, "x" * (row % 300)))
                    acked.add(row)
                except SqlError as e:
                    check_code(e)
                    # Without a reason it is the connection to the gate that broke: nobody can know.
                    (refused if e.code == "UNAVAILABLE" and e.reason else unknown).add(row)
                    return e.reason != ""
                return True

            with Writers(cluster, 4, work) as writers:
                self.kill_each(cluster, writers)
            client = cluster.client()
            wait_for("all shards", lambda: answers(client, "SELECT count(*) FROM t"))
            rows = {r: len(v) for r, v in client.stream("SELECT id, v FROM t").rows}
            self.assertEqual(acked - rows.keys(), set(), "acknowledged, but gone")
            self.assertEqual(refused & rows.keys(), set(), "told that nothing was done, but it is there")
            self.assertEqual(rows.keys() - acked - unknown, set(), "nobody wrote these")
            self.assertTrue(all(n == r % 300 for r, n in rows.items()))
            self.assertGreater(len(acked), 50)

    def test_requests_are_done_once(self):
        """Counters raised and rows with made-up ids inserted, each repeated with its request_id until it is done."""
        with Cluster(tablets=2, shards=6) as cluster:
            first = cluster.client()
            first.execute("CREATE TABLE counters (id INTEGER PRIMARY KEY, n INTEGER)")
            first.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, who TEXT)")
            for i in range(3):
                first.execute("INSERT INTO counters VALUES (?, 0)", (i,))
            ids, done = {}, [0] * 3
            pending = {}

            def work(client, i, k):
                # What was under way when the connection broke is sent again first.
                number = pending.setdefault(i, done[i] + 1)
                try:
                    client.execute("UPDATE counters SET n = n + 1 WHERE id = ?", (i,), request_id=f"count {i}/{number}")
                    row = client.execute("INSERT INTO rows (who) VALUES (?)", (f"{i}/{number}",), request_id=f"row {i}/{number}")
                except SqlError as e:
                    check_code(e)
                    return e.reason != ""
                ids[f"{i}/{number}"] = row.last_insert_id
                done[i] = number
                del pending[i]
                return True

            with Writers(cluster, 3, work) as writers:
                self.kill_each(cluster, writers)
            client = cluster.client()
            wait_for("all shards", lambda: answers(client, "SELECT count(*) FROM rows") and
                     answers(client, "SELECT count(*) FROM counters"))
            for i, n in client.rows("SELECT id, n FROM counters"):
                self.assertIn(n - done[i], (0, 1) if i in pending else (0,), f"counter {i}")
            rows = client.rows("SELECT who, id FROM rows")
            self.assertEqual(len(rows), len({who for who, _ in rows}), "a row was inserted twice")
            self.assertEqual({who: n for who, n in rows if who in ids}, ids)

    def test_request_id_over_a_tablets_restart(self):
        with Cluster(tablets=2, shards=4) as cluster:
            client = cluster.client()
            client.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
            for i in range(6):
                client.execute("INSERT INTO t VALUES (?, 0)", (100 + i,))
            first = {i: client.execute("INSERT INTO t (v) VALUES (?) RETURNING id, v", (i,), request_id=f"insert {i}")
                     for i in range(8)}
            for i in range(6):
                client.execute("UPDATE t SET v = v + 1 WHERE id = ? RETURNING v", (100 + i,), request_id=f"update {i}")
            for victim in ("tablet-0", "tablet-1", "gate-0"):
                cluster.kill(victim)
                cluster.restart(victim)
            client = cluster.client()
            wait_for("all shards", lambda: answers(client, "SELECT count(*) FROM t"))
            for i in range(8):
                again = client.execute("INSERT INTO t (v) VALUES (?) RETURNING id, v", (i,), request_id=f"insert {i}")
                self.assertEqual((again.rows, again.last_insert_id, again.rows_affected),
                                 (first[i].rows, first[i].last_insert_id, 1))
            for i in range(6):
                again = client.execute("UPDATE t SET v = v + 1 WHERE id = ? RETURNING v", (100 + i,), request_id=f"update {i}")
                self.assertEqual(again.rows, [(1,)])
            self.assertEqual(client.rows("SELECT count(*), sum(v) FROM t WHERE id < 100 OR id > 105"), [(8, 28)])
            self.assertEqual(client.rows("SELECT sum(v) FROM t WHERE id BETWEEN 100 AND 105"), [(6,)])

    def test_paused_tablet_does_not_hang_others(self):
        """SIGSTOP: the connection stands, nobody answers. Other shards go on, and calls end by themselves."""
        with Cluster(tablets=2, shards=4, flags=["gate:--keepalive=500ms", "gate:--keepalive-timeout=500ms"]) as cluster:
            client = cluster.client()
            client.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
            homes = {}
            for i in range(40):
                client.execute("INSERT INTO t VALUES (?, 1)", (i,))
                [shard] = client.execute("SELECT 1 FROM t WHERE id = ?", (i,), stats=True).stats.shards
                homes.setdefault(shard.tablet, []).append(i)
            cluster.pause("tablet-1")
            try:
                for i in homes["tablet-0"]:
                    self.assertEqual(client.rows("SELECT v FROM t WHERE id = ?", (i,)), [(1,)])
                with self.assertRaises(SqlError) as failed:
                    client.execute("SELECT count(*) FROM t", timeout=TIMEOUT_S)
                self.assertEqual(failed.exception.code, "UNAVAILABLE")
                with self.assertRaises(SqlError) as failed:
                    client.execute("UPDATE t SET v = 2 WHERE id = ?", (homes["tablet-1"][0],), timeout=TIMEOUT_S)
                self.assertIn(failed.exception.code, ("UNAVAILABLE", "UNKNOWN"))
            finally:
                cluster.resume("tablet-1")
            wait_for("the shards", lambda: answers(client, "SELECT count(*) FROM t"))

    def test_all_at_once(self):
        with Cluster(tablets=2, shards=4) as cluster:
            client = cluster.client()
            client.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
            for i in range(30):
                client.execute("INSERT INTO t (v) VALUES (?)", (i,))
            names = ["tablet-0", "tablet-1", "topo-0", "gate-0"]
            for name in names:
                cluster.kill(name)
            for name in names:
                cluster.restart(name)
            client = cluster.client()
            wait_for("the cluster", lambda: answers(client, "SELECT count(*) FROM t"))
            self.assertEqual(client.rows("SELECT count(*), sum(v) FROM t"), [(30, 435)])
            self.assertEqual(client.execute("INSERT INTO t (v) VALUES (0)").last_insert_id, 31)


def answers(client, sql):
    try:
        client.execute(sql)
        return True
    except SqlError as e:
        assert e.code in ("UNAVAILABLE", "NOT_FOUND"), e
        return False


if __name__ == "__main__":
    unittest.main()
