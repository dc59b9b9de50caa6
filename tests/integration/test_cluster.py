"""deploy/local/cluster: what it starts is there, comes back as it was, and ends - and nothing else does."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from lib import Cluster, SqlError, wait_for
from lib.cluster import SCRIPT, build_dir


def script(*args):
    return subprocess.run([str(SCRIPT), *args], capture_output=True, text=True, check=False, timeout=120)


def command_line(pid):
    return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")


class Life(unittest.TestCase):
    def test_up_status_down_up(self):
        with Cluster(tablets=2, shards=4, flags=["tablet:--log-level=debug"], env=["gate:SHOAL_LOG_LEVEL=warn"]) as c:
            described = c.describe()
            self.assertEqual([(kind, [p["id"] for p in ps]) for kind, ps in sorted(described.items())],
                             [("gates", ["gate-0"]), ("tablets", ["tablet-0", "tablet-1"]), ("topos", ["topo-0"])])
            addresses = [p[key] for ps in described.values() for p in ps for key in ("address", "http")]
            self.assertEqual(len(set(addresses)), 8)
            self.assertTrue(all(a.startswith("127.0.0.1:") for a in addresses))
            self.assertEqual(c.script("status").returncode, 0)
            keyspace = c.topo_client().keyspace("main")
            self.assertEqual([s.name for s in keyspace.shards], ["-40", "40-80", "80-c0", "c0-"])
            self.assertEqual({s.tablet for s in keyspace.shards}, {"tablet-0", "tablet-1"})
            self.assertTrue(all(s.serving for s in keyspace.shards))

            client = c.client()
            client.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
            for i in range(20):
                client.execute("INSERT INTO t VALUES (?, ?)", [i, f"row {i}"])

            c.down()
            self.assertEqual(c.processes_left(), [])
            status = c.script("status", check=False)
            self.assertEqual(status.returncode, 1)
            self.assertIn("down", status.stdout)

            c.script("up")  # without the shape and the flags: they are remembered
            again = c.describe()
            self.assertEqual([p[key] for ps in again.values() for p in ps for key in ("address", "http")], addresses)
            self.assertIn("--log-level=debug", command_line(c.process("tablet-1")["pid"]))
            self.assertIn(b"SHOAL_LOG_LEVEL=warn",
                          pathlib.Path(f"/proc/{c.process('gate-0')['pid']}/environ").read_bytes().split(b"\0"))
            self.assertEqual(sorted(c.client().rows("SELECT a, b FROM t")), [(i, f"row {i}") for i in range(20)])

    def test_up_twice_is_once(self):
        with Cluster(tablets=1, shards=1) as c:
            before = c.describe()
            c.up()
            self.assertEqual(c.describe(), before)

    def test_two_gates(self):
        """What one has been told the other knows, tables included."""
        with Cluster(tablets=1, shards=2, gates=2) as c:
            first, second = c.client(gate=0), c.client(gate=1)
            first.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
            first.execute("INSERT INTO t (b) VALUES ('x')")
            wait_for("the table", lambda: self.has_table(second))
            second.execute("INSERT INTO t (b) VALUES ('y')")
            for client in (first, second):
                self.assertEqual(client.rows("SELECT b FROM t ORDER BY b"), [("x",), ("y",)])
            self.assertEqual(first.rows("SELECT count(DISTINCT a) FROM t"), [(2,)])

    @staticmethod
    def has_table(client):
        try:
            client.execute("SELECT * FROM t")
            return True
        except SqlError as e:
            if e.code != "NOT_FOUND":
                raise
            return False

    def test_purge(self):
        with tempfile.TemporaryDirectory(prefix="shoal-test-") as parent:
            directory = pathlib.Path(parent) / "c"
            c = Cluster(tablets=1, shards=1, directory=directory)
            with c:
                (directory / "mine").write_text("x")
                c.down("--purge")
                self.assertEqual(os.listdir(directory), ["mine"])
                self.assertEqual(c.processes_left(), [])


class Restart(unittest.TestCase):
    def test_each_kind(self):
        """Whatever is killed comes back under its id, address and data, and the cluster answers again."""
        with Cluster(tablets=2, shards=4) as c:
            client = c.client()
            client.execute("CREATE TABLE t (a INTEGER PRIMARY KEY)")
            for i in range(10):
                client.execute("INSERT INTO t VALUES (?)", [i])
            for process_id in ("tablet-1", "gate-0", "topo-0"):
                with self.subTest(process_id):
                    before = c.process(process_id)
                    c.kill(process_id)
                    status = c.script("status", check=False)
                    self.assertEqual(status.returncode, 1)
                    self.assertRegex(status.stdout, rf"(?m)^{process_id} +- +down")
                    c.restart(process_id)
                    after = c.process(process_id)
                    self.assertNotEqual(after["pid"], before["pid"])
                    self.assertEqual({**after, "pid": 0}, {**before, "pid": 0})
                    wait_for("the cluster to be ready", lambda: c.script("status", check=False).returncode == 0)
                    wait_for("all rows", lambda: self.count(client) == 10)

    @staticmethod
    def count(client):
        try:
            return client.rows("SELECT count(*) FROM t")[0][0]
        except SqlError as e:
            if e.code != "UNAVAILABLE":
                raise
            return None

    def test_of_one_that_runs(self):
        with Cluster(tablets=1, shards=1) as c:
            before = c.process("tablet-0")["pid"]
            c.restart("tablet-0")
            self.assertNotEqual(c.process("tablet-0")["pid"], before)
            self.assertEqual(len([p for p in c.processes_left() if "tablet" in p]), 1)


class Strangers(unittest.TestCase):
    def test_a_pid_used_again_is_left_alone(self):
        """A process with the recorded pid that is another one is neither shown as running nor ended."""
        with Cluster(tablets=1, shards=1) as c:
            c.kill("tablet-0")
            with subprocess.Popen(["sleep", "300"]) as stranger:
                try:
                    path = c.dir / "processes.json"
                    saved = json.loads(path.read_text())
                    for p in saved["processes"]:
                        if p["id"] == "tablet-0":
                            p["pid"] = stranger.pid
                    path.write_text(json.dumps(saved))
                    self.assertRegex(c.script("status", check=False).stdout, r"(?m)^tablet-0 +- +down")
                    c.down()
                    self.assertIsNone(stranger.poll())
                finally:
                    stranger.kill()


class Refusals(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="shoal-test-")))

    def test_what_this_version_lacks(self):
        for args in (["--store", "etcd"], ["--topos", "2"]):
            with self.subTest(args):
                done = script("up", "--dir", str(self.dir / "c"), *args)
                self.assertEqual(done.returncode, 2)
                self.assertIn("etcd store", done.stderr)
                self.assertFalse((self.dir / "c").exists())

    def test_usage(self):
        for args in (["up"], ["up", "--dir", "x", "--tablets", "0"], ["up", "--dir", "x", "--flag", "nope:--x"], ["fly"],
                     []):
            with self.subTest(args):
                self.assertEqual(script(*args).returncode, 2)

    def test_no_cluster_there(self):
        for command in ("status", "down"):
            with self.subTest(command):
                done = script(command, "--dir", str(self.dir))
                self.assertEqual(done.returncode, 1)
                self.assertIn("no cluster here", done.stderr)

    def test_no_build_there(self):
        done = script("up", "--dir", str(self.dir / "c"), "--build", str(self.dir))
        self.assertEqual(done.returncode, 1)
        self.assertIn("lacks topo/topo, tablet/tablet, gate/gate, cli/shoal", done.stderr)

    def test_another_shape(self):
        with Cluster(tablets=1, shards=1) as c:
            done = c.script("up", "--tablets", "2", check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn("cannot become 2", done.stderr)
            self.assertEqual(c.script("restart", "tablet-7", check=False).returncode, 2)

    def test_a_server_that_does_not_start(self):
        """The end of its log is shown, what was started is ended, and nothing stands in the way of the next attempt."""
        build = self.dir / "build"
        for kind in ("topo", "tablet", "gate", "cli"):
            (build / kind).mkdir(parents=True)
            name = "shoal" if kind == "cli" else kind
            os.symlink(build_dir() / kind / name, build / kind / name)
        broken = build / "tablet" / "tablet"
        broken.unlink()
        broken.write_text("#!/bin/sh\necho the disk is made of cheese\nexit 1\n")
        broken.chmod(0o755)
        c = Cluster(tablets=1, shards=1, directory=self.dir / "c")
        done = script("up", "--dir", str(c.dir), "--build", str(build), *c.up_args)
        self.assertEqual(done.returncode, 1)
        self.assertIn("tablet-0 has ended", done.stderr)
        self.assertIn("made of cheese", done.stderr)
        self.assertEqual(c.processes_left(), [])
        with c:
            self.assertEqual(c.client().rows("SELECT 1"), [(1,)])
