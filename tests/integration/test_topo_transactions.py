"""Decisions in topo, as gates and tablets ask for them: kill -9 at random, many at a time, and what people see."""

import json
import random
import subprocess
import threading
import unittest

import grpc

from lib import wait_for
from lib.cluster import build_dir
from lib.protos import api_pb2, internal_pb2
from test_topo_process import Case, gate_epoch

COMMITTED, ABORTED, PREPARING, DONE, FORGOTTEN = (
    api_pb2.TRANSACTION_STATE_COMMITTED, api_pb2.TRANSACTION_STATE_ABORTED, api_pb2.TRANSACTION_STATE_PREPARING,
    api_pb2.TRANSACTION_STATE_DONE, api_pb2.TRANSACTION_STATE_FORGOTTEN)
PARTICIPANTS = ["1/-80", "1/80-"]


def transaction_id(epoch, counter):
    return internal_pb2.TransactionId(epoch=epoch, start=1000 + counter, counter=counter)


def text_id(epoch, counter):
    return f"{epoch:x}-{1000 + counter:x}-{counter:x}"


def decision(epoch, counter, commit_ts):
    return internal_pb2.TransactionDecision(
        id=transaction_id(epoch, counter), state=COMMITTED if commit_ts else ABORTED, commit_ts=commit_ts,
        participants=PARTICIPANTS if commit_ts else [])


def decide(client, epoch, counter, commit_ts, tablet="", oldest=0):
    """What stands: (state, commit_ts)."""
    reply = client.internal.DecideTransactions(internal_pb2.DecideTransactionsRequest(
        gate="" if tablet else "gate-0", tablet=tablet, decisions=[decision(epoch, counter, commit_ts)],
        oldest_counter=oldest), timeout=30)
    return reply.decisions[0].state, reply.decisions[0].commit_ts


def report(client, epoch, counter, kind, participant, prepared_ms=0):
    reply = client.internal.ReportTransactions(internal_pb2.ReportTransactionsRequest(
        tablet="tablet-0", reports=[internal_pb2.TransactionReport(
            id=transaction_id(epoch, counter), participant=participant, kind=kind, prepared_ms=prepared_ms,
            participants=PARTICIPANTS)]), timeout=30)
    return reply.decisions[0].state


def durable(client, epoch, counter, participant):
    return report(client, epoch, counter, internal_pb2.TransactionReport.DURABLE, participant)


class Killing(Case):
    def test_decisions_survive(self):
        """Gates and tablets decide against each other while topo is killed; what was told to one stands for all."""
        topo = self.start("--lease=60s")
        chance = random.Random(11)
        told, counter, last_revision, store = {}, 0, 0, None
        for _ in range(6):
            client = self.connect(topo)
            epoch = gate_epoch(client)
            timer = threading.Timer(chance.uniform(0.05, 0.25), topo.process.kill)
            timer.start()
            try:
                while True:
                    counter += 1
                    known = chance.choice(list(told)) if told and chance.random() < 0.5 else (epoch, counter)
                    ts = chance.choice((0, known[1] + 5000))
                    reply = client.internal.DecideTransactions(internal_pb2.DecideTransactionsRequest(
                        gate="gate-0", decisions=[decision(*known, ts)]), timeout=30)
                    outcome = (reply.decisions[0].state, reply.decisions[0].commit_ts)
                    self.assertEqual(told.setdefault(known, outcome), outcome)
                    self.assertGreaterEqual(reply.store_revision, last_revision)
                    last_revision = reply.store_revision
                    self.assertEqual(reply.store_id, store or reply.store_id)
                    store = reply.store_id
            except grpc.RpcError as e:
                self.assertEqual(e.code(), grpc.StatusCode.UNAVAILABLE)
            timer.join()
            topo.kill()
            topo.start()
        client = self.connect(topo)
        gate_epoch(client)
        for (epoch, n), outcome in told.items():
            self.assertEqual(decide(client, epoch, n, 0, tablet="tablet-0"), outcome)
            self.assertEqual(decide(client, epoch, n, 7), outcome)
        self.assertGreater(len(told), 20)
        self.assertEqual({state for state, _ in told.values()}, {COMMITTED, ABORTED})


class Leases(Case):
    def commit_one(self, client):
        """The gate's epoch and where it is; None if the lease has ended meanwhile."""
        epoch = gate_epoch(client)
        try:
            found = client.internal.FindGate(internal_pb2.FindGateRequest(gate="gate-0"), timeout=30)
        except grpc.RpcError:
            return None
        return (epoch, found) if decide(client, epoch, 1, 77) == (COMMITTED, 77) else None

    def test_a_gate_that_is_gone_commits_nothing(self):
        topo = self.start()  # a lease of 300 ms
        client = self.connect(topo)
        epoch, found = wait_for("a commit within the lease", lambda: self.commit_one(client))
        self.assertEqual((found.address, found.epoch), ("127.0.0.1:2", epoch))
        prepared = internal_pb2.TransactionReport.PREPARED
        wait_for("the end of the lease", lambda: report(client, epoch, 2, prepared, "1/-80") == ABORTED)
        with self.assertRaises(grpc.RpcError) as caught:
            client.internal.FindGate(internal_pb2.FindGateRequest(gate="gate-0"), timeout=30)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)
        self.assertEqual(decide(client, epoch, 3, 77), (FORGOTTEN, 0))
        self.assertEqual(decide(client, epoch, 1, 0), (COMMITTED, 77))

    def test_what_has_ended_is_forgotten(self):
        topo = self.start("--keep-outcomes=1ms", "--lease=60s")
        client = self.connect(topo)
        epoch = gate_epoch(client)
        for n in range(1, 201):
            decide(client, epoch, n, 5000 + n if n % 2 else 0)
            for shard in PARTICIPANTS if n % 2 and n != 199 else ():
                durable(client, epoch, n, shard)
        # 199 waits for its participants, whatever becomes of its gate; all others go with that.
        self.assertGreater(gate_epoch(client, incarnation=2), epoch)
        wait_for("all but one to be forgotten", lambda: "shoal_topo_transactions{state=\"done\"} 0\n" in topo.get(
            "/metrics") and "shoal_topo_transactions{state=\"aborted\"} 0\n" in topo.get("/metrics"))
        page = topo.get("/metrics")
        for line in ("shoal_topo_transactions{state=\"committed\"} 1", "shoal_topo_transactions_total{outcome=\"committed\"} 100",
                     "shoal_topo_transactions_total{outcome=\"aborted\"} 100",
                     "shoal_topo_transactions_total{outcome=\"done\"} 99",
                     "shoal_topo_transactions_total{outcome=\"forgotten\"} 199"):
            self.assertIn(line + "\n", page)
        done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
        self.assertEqual(durable(client, epoch, 199, "1/-80"), COMMITTED)
        self.assertEqual(durable(client, epoch, 199, "1/80-"), DONE)


class People(Case):
    def shoal(self, topo, *words, code=0):
        done = subprocess.run([str(build_dir() / "cli" / "shoal"), "--topo", topo.address, "transaction", *words],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout + done.stderr

    def test_list_show_resolve(self):
        topo = self.start("--lease=60s")
        client = self.connect(topo)
        client.internal.TabletHeartbeat(internal_pb2.TabletHeartbeatRequest(
            id="tablet-0", address="127.0.0.1:1", incarnation=1), timeout=30)
        self.assertEqual(client.create_keyspace("main", 2).id, 1)
        epoch = gate_epoch(client)
        decide(client, epoch, 1, 77)
        decide(client, epoch, 2, 0)
        report(client, epoch, 3, internal_pb2.TransactionReport.PREPARED, "1/-80", 4000)
        shown = json.loads(self.shoal(topo, "list", "--json"))
        self.assertEqual([(t["transaction_id"], t["state"]) for t in shown], [
            (text_id(epoch, 3), "preparing"), (text_id(epoch, 1), "committed"), (text_id(epoch, 2), "aborted")])
        self.assertEqual(shown[0]["participants"], ["main/-80", "main/80-"])
        self.assertGreaterEqual(shown[1]["created_unix_ms"] - shown[0]["created_unix_ms"], 3900)
        table = self.shoal(topo, "list", "--unresolved")
        self.assertIn(text_id(epoch, 3), table)
        self.assertNotIn(text_id(epoch, 2), table)
        self.assertRegex(self.shoal(topo, "show", text_id(epoch, 1)), r"committed, age .* s\n  main/-80\n  main/80-\n$")
        self.shoal(topo, "show", text_id(epoch, 9), code=1)
        self.shoal(topo, "show", "what", code=1)
        self.assertIn("gate-0", self.shoal(topo, "resolve", text_id(epoch, 3), code=1))
        self.assertIn("committed", self.shoal(topo, "resolve", text_id(epoch, 1)))
        self.assertEqual(json.loads(self.shoal(topo, "resolve", text_id(epoch, 2), "--json"))["state"], "aborted")
        # Another incarnation of the gate: what the first has not decided is over.
        gate_epoch(client, incarnation=2)
        self.assertIn("aborted", self.shoal(topo, "resolve", text_id(epoch, 3)))
        self.assertIn("forgotten", self.shoal(topo, "show", text_id(epoch, 9)))


if __name__ == "__main__":
    unittest.main()
