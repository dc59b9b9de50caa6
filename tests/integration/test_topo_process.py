"""The topo process by itself: kill -9, restart, watching, the other port, what it refuses to start with."""

import pathlib
import random
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest
import urllib.request

import grpc

from lib import Topo, SqlError, wait_for
from lib.cluster import build_dir
from lib.protos import api_pb2, internal_pb2, internal_pb2_grpc


class Process:
    """A topo in a directory; start() may be called again after kill()."""

    def __init__(self, *flags):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="shoal-topo-"))
        self.flags = flags
        self.address = "127.0.0.1:0"
        self.log = open(self.dir / "log", "a", encoding="utf-8")
        self.process = None

    def command(self, *more):
        return [str(build_dir() / "topo" / "topo"), f"--data-dir={self.dir / 'data'}", "--http-address=127.0.0.1:0",
                f"--listen-address={self.address}", "--heartbeat=100ms", "--lease=300ms", *self.flags, *more]

    def start(self):
        begin = self.log.tell()
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stderr=self.log)
        self.address, self.http = wait_for("event=listening", lambda: self.find_addresses(begin))
        return self

    def find_addresses(self, begin):
        if self.process.poll() is not None:
            raise AssertionError(f"topo has ended: {self.text()}")
        found = re.search(r"event=listening address=(\S+) http=(\S+)", self.text()[begin:])
        return found and found.groups()

    def text(self):
        return (self.dir / "log").read_text(encoding="utf-8")

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.log.seek(0, 2)

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def get(self, path):
        with urllib.request.urlopen(f"http://{self.http}{path}", timeout=30) as reply:
            return reply.read().decode()

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()
        self.log.close()
        shutil.rmtree(self.dir)


class Case(unittest.TestCase):
    def start(self, *flags):
        topo = Process(*flags)
        self.addCleanup(topo.close)
        return topo.start()

    def connect(self, topo):
        client = Topo(topo.address)
        self.addCleanup(client.close)
        client.internal = internal_pb2_grpc.TopoInternalStub(client.channel)
        return client


def beat(client, tablet="tablet-0", incarnation=1):
    return client.internal.TabletHeartbeat(internal_pb2.TabletHeartbeatRequest(
        id=tablet, address="127.0.0.1:1", incarnation=incarnation), timeout=30)


def gate_epoch(client, incarnation=1):
    return client.internal.GateHeartbeat(internal_pb2.GateHeartbeatRequest(
        id="gate-0", address="127.0.0.1:2", incarnation=incarnation), timeout=30).epoch


def create_table(client, keyspace, version, name):
    """As a gate would."""
    epoch = gate_epoch(client)
    change = client.internal.BeginSchemaChange(internal_pb2.BeginSchemaChangeRequest(
        keyspace_id=keyspace, expected_version=version, gate="gate-0", gate_epoch=epoch, sql="CREATE",
        put_table=api_pb2.Table(name=name, sharding=api_pb2.TableSharding(type="unsharded"))), timeout=30)
    return client.internal.EndSchemaChange(internal_pb2.EndSchemaChangeRequest(
        keyspace_id=keyspace, id=change.id, gate="gate-0", gate_epoch=epoch,
        state=internal_pb2.SCHEMA_CHANGE_STATE_DONE), timeout=30)


class Killing(Case):
    def test_acknowledged_changes_survive(self):
        """Keyspaces, tables and ids are made until the process is killed; each answer must still hold afterwards."""
        topo = self.start()
        chance = random.Random(7)
        keyspaces, tables, last_version, last_id = set(), 0, 0, 0
        for round_number in range(6):
            client = self.connect(topo)
            beat(client)
            if not keyspaces:
                main = client.create_keyspace("main").id
                keyspaces.add("main")
                create_table(client, main, 0, "t0")
                tables = 1
            timer = threading.Timer(chance.uniform(0.05, 0.25), topo.process.kill)
            timer.start()
            n = 0
            try:
                while True:
                    n += 1
                    name = f"k{round_number}_{n}"
                    client.create_keyspace(name, 3)
                    keyspaces.add(name)
                    create_table(client, main, tables, f"t{tables}")
                    tables += 1
                    ids = client.internal.AllocateIds(internal_pb2.AllocateIdsRequest(
                        keyspace_id=main, table="t0", gate="gate-0", gate_epoch=gate_epoch(client), above=last_id,
                        count=10), timeout=30)
                    self.assertEqual(ids.first, last_id + 1)
                    last_id = ids.limit - 1
            except (SqlError, grpc.RpcError) as e:
                code = e.code if isinstance(e, SqlError) else e.code().name
                self.assertEqual(code, "UNAVAILABLE", e)
            timer.join()
            topo.kill()
            topo.start()
            client = self.connect(topo)
            after = client.topology()
            names = {k.name for k in after.keyspaces}
            self.assertLessEqual(keyspaces, names)
            self.assertLessEqual(len(names - keyspaces), 1)  # the one that had no answer
            self.assertGreater(after.version, last_version)
            last_version = after.version
            kept = client.keyspace("main")
            self.assertIn(len(kept.tables) - tables, (0, 1))
            self.assertEqual(kept.schema_version, len(kept.tables))
            keyspaces, tables = names, len(kept.tables)
            self.finish_pending(client, main)
            tables = len(client.keyspace("main").tables)
        self.assertGreater(len(keyspaces), 6)
        self.assertEqual(len({k.id for k in client.topology().keyspaces}), len(keyspaces))

    def finish_pending(self, client, keyspace):
        """A change that was begun is pending still, and its gate may end it."""
        change = client.internal.GetSchemaChange(internal_pb2.GetSchemaChangeRequest(keyspace_id=keyspace), timeout=30)
        if change.state == internal_pb2.SCHEMA_CHANGE_STATE_PENDING:
            epoch = gate_epoch(client)
            client.internal.GetSchemaChange(internal_pb2.GetSchemaChangeRequest(
                keyspace_id=keyspace, take_over=True, gate="gate-0", gate_epoch=epoch), timeout=30)
            client.internal.EndSchemaChange(internal_pb2.EndSchemaChangeRequest(
                keyspace_id=keyspace, id=change.id, gate="gate-0", gate_epoch=epoch,
                state=internal_pb2.SCHEMA_CHANGE_STATE_DONE), timeout=30)

    def test_a_gate_keeps_its_epoch_over_a_restart_of_topo(self):
        topo = self.start("--lease=60s")
        client = self.connect(topo)
        epoch = gate_epoch(client)
        topo.kill()
        topo.start()
        client = self.connect(topo)
        self.assertEqual(gate_epoch(client), epoch)
        self.assertGreater(gate_epoch(client, incarnation=2), epoch)


class Watching(Case):
    def test_silence_is_pushed(self):
        topo = self.start()
        client = self.connect(topo)
        beat(client)
        stream = client.stub.WatchTopology(api_pb2.GetTopologyRequest(), timeout=60)
        seen = []
        for topology in stream:
            seen.append([t.healthy for t in topology.tablets])
            if seen[-1] == [False]:
                break
        stream.cancel()
        self.assertEqual(seen[0], [True])

    def test_sigterm_ends_watchers_and_the_process(self):
        topo = self.start()
        client = self.connect(topo)
        stream = client.stub.WatchTopology(api_pb2.GetTopologyRequest(), timeout=60)
        next(stream)
        self.assertEqual(topo.terminate(), 0)
        with self.assertRaises(grpc.RpcError) as caught:
            next(stream)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE)
        self.assertIn("event=stopped", topo.text())


class OtherPort(Case):
    def test_metrics(self):
        topo = self.start()
        client = self.connect(topo)
        beat(client)
        client.create_keyspace("main", 5)
        with self.assertRaises(SqlError):
            client.create_keyspace("main", 5)
        page = topo.get("/metrics")
        for line in ("shoal_topo_heartbeats_total{kind=\"tablet\"} 1", "shoal_topo_keyspaces 1", "shoal_topo_shards 5",
                     "shoal_topo_tablets{health=\"healthy\"} 1", "shoal_topo_errors_total{code=\"ALREADY_EXISTS\"} 1",
                     "shoal_topo_request_duration_seconds_count{method=\"CreateKeyspace\"} 2"):
            self.assertIn(line + "\n", page)
        done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
        self.assertEqual(topo.get("/readyz").strip(), "ready")


class Starting(Case):
    def refused(self, topo, *flags):
        """The last line of its log, and its exit code."""
        done = subprocess.run(topo.command(*flags), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False, timeout=60)
        return done.returncode, done.stderr

    def test_refusals(self):
        topo = self.start()
        cases = [
            ("the folder is taken", ("--listen-address=127.0.0.1:0",), 1, "reason=DATA_DIR_LOCKED"),
            ("the folder cannot be made", (f"--data-dir={topo.dir}/no/such",), 1, "reason=DATA_DIR "),
            ("the port is taken", (f"--data-dir={topo.dir}/other",), 1, topo.address),
            ("the other port is taken", (f"--data-dir={topo.dir}/other", "--listen-address=127.0.0.1:0",
                                         f"--http-address={topo.http}"), 1, topo.http),
            ("unknown flag", ("--nonsense",), 2, "nonsense"),
            ("a lease of no time", ("--lease=0",), 2, "lease"),
            ("a lease shorter than two heartbeats", ("--heartbeat=10s", "--lease=19s"), 2, "lease"),
        ]
        for label, flags, code, text in cases:
            with self.subTest(label):
                self.assertEqual(self.refused(topo, *flags)[0], code)
                self.assertIn(text, self.refused(topo, *flags)[1])

    def test_help(self):
        done = subprocess.run([str(build_dir() / "topo" / "topo"), "--help"], capture_output=True, text=True,
                              check=False, timeout=60)
        self.assertEqual(done.returncode, 0)
        for flag in ("--id", "--listen-address", "--http-address", "--data-dir", "--heartbeat", "--lease"):
            self.assertIn(flag, done.stdout)


if __name__ == "__main__":
    unittest.main()
