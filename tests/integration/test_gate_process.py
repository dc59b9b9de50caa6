"""The gate among processes that die: what was acknowledged is there, what is repeated is done once, nobody hangs."""

import json
import os
import pathlib
import random
import signal
import subprocess
import threading
import time
import unittest
import urllib.error
import urllib.request

import grpc

from lib import Client, Cluster, SqlError, wait_for
from lib.client import CHANNEL_OPTIONS

ENDLESS = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r"


class Writer(threading.Thread):
    """Writes numbers until told to stop; repeats what is in doubt with the same request_id."""

    def __init__(self, cluster, name):
        super().__init__()
        self.client = cluster.client(timeout=60)
        self.name = name
        self.acknowledged = {}  # number: rowid
        self.n_repeated = 0
        self.stop = threading.Event()
        self.failure = None

    def run(self):
        try:
            number = 0
            while not self.stop.is_set():
                self.write(number)
                number += 1
        except BaseException as e:  # shown by the test
            self.failure = e

    def write(self, number):
        while True:
            try:
                result = self.client.execute("INSERT INTO t (writer, number) VALUES (?, ?)", [self.name, number],
                                             request_id=f"{self.name}-{number}")
                self.acknowledged[number] = result.last_insert_id
                return
            except SqlError as e:
                if e.code not in ("UNAVAILABLE", "UNKNOWN", "ABORTED"):
                    raise
                self.n_repeated += 1


class Calling(threading.Thread):
    """Calls all the time, 20 ms apart; counts what fails in a row."""

    def __init__(self, address, **options):
        super().__init__()
        self.client = Client(address, timeout=30)
        self.options = options
        self.n_failed = 0  # since the last success
        self.n_succeeded = 0
        self.stop = threading.Event()

    def run(self):
        while not self.stop.is_set():
            try:
                self.client.stub.Execute(self.client.request("SELECT 1"), timeout=30, **self.options)
                self.n_succeeded += 1
                self.n_failed = 0
            except grpc.RpcError:
                self.n_failed += 1
            self.stop.wait(0.02)
        self.client.close()


class Restarted(unittest.TestCase):
    # Attempts to connect are 200 ms apart at most, so that is ten of them.
    MAX_FAILED = 100

    def kill_and_count(self, **options):
        """The most calls in a row that fail after the gate is back."""
        with Cluster(tablets=1, shards=1) as cluster:
            callers = [Calling(cluster.gate, **options) for _ in range(4)]
            worst = 0
            for c in callers:
                c.start()
            try:
                for _ in range(3):
                    for c in callers:
                        wait_for("calls", lambda c=c: c.n_succeeded)
                    os.kill(cluster.process("gate-0")["pid"], signal.SIGKILL)
                    for c in callers:
                        wait_for("the gate's end", lambda c=c: c.n_failed or options)
                    cluster.restart("gate-0")
                    for c in callers:
                        c.n_failed = c.n_succeeded = 0
                    for c in callers:
                        while not c.n_succeeded:
                            worst = max(worst, c.n_failed)
                            c.stop.wait(0.01)
                            self.assertLess(c.n_failed, self.MAX_FAILED)
            finally:
                for c in callers:
                    c.stop.set()
                for c in callers:
                    c.join()
            return worst

    def test_a_caller_connects_again(self):
        self.assertLess(self.kill_and_count(), self.MAX_FAILED)

    def test_a_caller_that_waits_needs_no_second_call(self):
        self.assertEqual(self.kill_and_count(wait_for_ready=True), 0)


class Dying(unittest.TestCase):
    def run_writers(self, cluster, kill):
        client = cluster.client()
        client.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, writer TEXT, number INTEGER)")
        writers = [Writer(cluster, f"w{i}") for i in range(4)]
        for w in writers:
            w.start()
        try:
            kill(writers)
        finally:
            for w in writers:
                w.stop.set()
            for w in writers:
                w.join(120)
        self.assertEqual([w.failure for w in writers], [None] * 4)
        rows = wait_for("the shards", lambda: self.try_rows(client))
        for w in writers:
            self.assertGreater(len(w.acknowledged), 0)
            found = {}
            for rowid, name, number in rows:
                if name == w.name:
                    found.setdefault(number, []).append(rowid)
            for number, rowid in w.acknowledged.items():
                self.assertEqual(found.get(number), [rowid], f"{w.name} {number}")
            self.assertEqual([n for n, ids in found.items() if len(ids) > 1], [])

    def try_rows(self, client):
        try:
            return client.rows("SELECT id, writer, number FROM t")
        except SqlError as e:
            self.assertEqual(e.code, "UNAVAILABLE")
            return None

    def progress(self, writers):
        """Waits until every writer has got something acknowledged since."""
        before = [len(w.acknowledged) for w in writers]
        wait_for("writers", lambda: all(not w.is_alive() or len(w.acknowledged) > n + 3
                                        for w, n in zip(writers, before)), limit_s=60)

    def test_tablets_die(self):
        with Cluster(tablets=3, shards=6) as cluster:
            def kill(writers):
                rng = random.Random(1)
                for _ in range(6):
                    self.progress(writers)
                    tablet = f"tablet-{rng.randrange(3)}"
                    cluster.kill(tablet)
                    cluster.restart(tablet)
                self.progress(writers)
            self.run_writers(cluster, kill)

    def test_gate_dies(self):
        with Cluster(tablets=2, shards=4) as cluster:
            def kill(writers):
                for _ in range(4):
                    self.progress(writers)
                    cluster.kill("gate-0")
                    cluster.restart("gate-0")
                self.progress(writers)
            self.run_writers(cluster, kill)


class Away(unittest.TestCase):
    def test_tablet_is_away(self):
        """Its shards' statements fail in time with UNAVAILABLE, the others' go on; when it is back, all do."""
        with Cluster(tablets=2, shards=2) as cluster:
            client = cluster.client()
            client.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
            for i in range(20):
                client.execute("INSERT INTO t VALUES (?, ?)", [i, i])
            cluster.kill("tablet-0")
            outcomes = {}
            for i in range(20):
                outcomes[i] = self.outcome(client, i)
            self.assertEqual(set(outcomes.values()), {"OK", "UNAVAILABLE"})
            begin = time.monotonic()
            with self.assertRaises(SqlError) as caught:
                client.execute("SELECT count(*) FROM t")
            self.assertEqual(caught.exception.code, "UNAVAILABLE")
            self.assertTrue(caught.exception.metadata["shard"].startswith("main/"))
            self.assertLess(time.monotonic() - begin, 20)
            cluster.restart("tablet-0")
            self.assertEqual(wait_for("tablet-0", lambda: self.try_count(client)), [(20,)])

    def outcome(self, client, i):
        try:
            client.execute("UPDATE t SET v = v + 1 WHERE id = ?", [i])
            return "OK"
        except SqlError as e:
            return e.code

    def try_count(self, client):
        try:
            return client.rows("SELECT count(*) FROM t")
        except SqlError:
            return None

    def test_topo_is_away(self):
        """Statements go on with what is known; a gate that starts meanwhile knows nothing, and says so."""
        with Cluster(tablets=2, shards=4) as cluster:
            client = cluster.client()
            client.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
            client.execute("INSERT INTO t VALUES (1)")
            http = cluster.process("gate-0")["http"]
            cluster.kill("topo-0")
            self.assertEqual(client.rows("SELECT id FROM t"), [(1,)])
            client.execute("INSERT INTO t VALUES (2)")
            cluster.kill("gate-0")
            gate = subprocess.Popen(self.command_line(cluster, "gate-0"), stdin=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL)
            try:
                wait_for("the gate", lambda: self.status(http, "/healthz") == 200)
                self.assertEqual(self.status(http, "/readyz"), 503)
                with self.assertRaises(SqlError) as caught:
                    cluster.client().execute("SELECT 1")
                self.assertEqual((caught.exception.code, caught.exception.reason), ("UNAVAILABLE", "NO_TOPOLOGY"))
            finally:
                gate.terminate()
                self.assertEqual(gate.wait(30), 0)

    def command_line(self, cluster, process_id):
        for p in json.loads((cluster.dir / "processes.json").read_text(encoding="utf-8"))["processes"]:
            if p["id"] == process_id:
                return p["argv"]
        raise KeyError(process_id)

    def status(self, address, path):
        try:
            with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as response:
                return response.status
        except urllib.error.HTTPError as e:
            return e.code
        except OSError:
            return None


class Ending(unittest.TestCase):
    def test_drain(self):
        """SIGTERM: what runs is finished, new calls are refused, the exit code is 0."""
        with Cluster(tablets=1, shards=2, flags=["gate:--drain=30s"]) as cluster:
            client = cluster.client()
            client.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
            client.execute("INSERT INTO t VALUES (1)")
            answers = []
            slow = ("WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 2000000) "
                    "SELECT max(n) FROM r")
            thread = threading.Thread(target=lambda: answers.append(client.rows(slow)))
            pid = cluster.process("gate-0")["pid"]
            thread.start()
            wait_for("the statement", lambda: self.in_flight(cluster) > 0)
            subprocess.run(["kill", str(pid)], check=True)
            thread.join(60)
            self.assertEqual(answers, [[(2000000,)]])
            wait_for("the end", lambda: not pathlib.Path(f"/proc/{pid}/cmdline").exists() or
                     not pathlib.Path(f"/proc/{pid}/cmdline").read_bytes())
            self.assertIn("event=stopped code=OK", (cluster.dir / "log" / "gate-0.log").read_text(encoding="utf-8"))
            cluster.restart("gate-0")

    def in_flight(self, cluster):
        with urllib.request.urlopen(f"http://{cluster.process('gate-0')['http']}/metrics", timeout=10) as page:
            for line in page.read().decode().splitlines():
                if line.startswith("shoal_gate_statements_in_flight "):
                    return int(float(line.split()[1]))
        return 0


class Hostile(unittest.TestCase):
    def test_deadlines_reach_sqlite(self):
        """An endless statement ends where it runs, at the gate and on a shard."""
        with Cluster(tablets=1, shards=2) as cluster:
            client = cluster.client()
            client.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
            client.execute("INSERT INTO t VALUES (1)")
            on_shard = f"SELECT id FROM t WHERE id = 1 AND (SELECT * FROM ({ENDLESS})) > id"
            for sql in (ENDLESS, on_shard):
                with self.assertRaises(SqlError) as caught:
                    client.execute(sql, timeout=0.3)
                self.assertEqual(caught.exception.code, "DEADLINE_EXCEEDED")
            for process in ("gate-0", "tablet-0"):
                pid = cluster.process(process)["pid"]
                wait_for(f"{process} to rest", lambda pid=pid: self.rests(pid))

    def rests(self, pid):
        def ticks():
            return sum(map(int, pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
        before = ticks()
        time.sleep(0.3)
        return ticks() - before < 15

    def test_bytes_at_random(self):
        """Whatever comes in, every call ends and the gate goes on."""
        with Cluster(tablets=1, shards=2) as cluster:
            client = cluster.client()
            client.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
            rng = random.Random(7)
            good = client.request("INSERT INTO t VALUES (:a, :b)", {":a": 1, "b": "text"},
                                  request_id="r").SerializeToString()
            with grpc.insecure_channel(cluster.gate, options=CHANNEL_OPTIONS) as channel:
                for i in range(600):
                    method = rng.choice(["Execute", "ExecuteBatch", "Describe", "OpenSession", "Commit", "Nothing"])
                    call = channel.unary_unary(f"/shoal.v1.Gate/{method}", request_serializer=None,
                                               response_deserializer=None)
                    try:
                        call(self.damage(rng, good, i), timeout=20)
                    except grpc.RpcError as e:
                        self.assertNotIn(e.code().name, ("INTERNAL", "DEADLINE_EXCEEDED", "UNAVAILABLE"), e.details())
            self.assertEqual(client.rows("SELECT 1"), [(1,)])

    def damage(self, rng, good, i):
        data = bytearray(good)
        if i % 3 == 0:
            return rng.randbytes(rng.randrange(200))
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        return bytes(data[:rng.randrange(len(data) + 1)] if i % 3 == 1 else data)


if __name__ == "__main__":
    unittest.main()
