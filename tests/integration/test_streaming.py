"""Results of any size in bounded memory, whoever reads slowly, and what the servers tell of themselves."""

import pathlib
import shutil
import subprocess
import unittest
import urllib.request

from lib import Cluster
from lib.protos import api_pb2

N_ROWS = 1_000_000
MAX_GATE_BYTES = 64 << 20


def is_sanitized(pid):
    """The sanitizers' shadow and quarantine are not the gate's memory."""
    return "libasan" in pathlib.Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")


def peak_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmHWM")


class Streaming(unittest.TestCase):
    def fill(self, client, n_rows):
        """A few wide inserts: each goes to one shard whole, since it is one key's."""
        client.execute("CREATE TABLE big (k INTEGER, i INTEGER, v TEXT, PRIMARY KEY (k, i)) WITHOUT ROWID")
        per_key = 5000
        for k in range(n_rows // per_key):
            values = ", ".join(f"({k}, {i}, 'row {k} {i}')" for i in range(per_key))
            client.execute(f"INSERT INTO big VALUES {values}")

    def read_slowly(self, client, sql, pause_after):
        """Reads a few messages, lets the servers push what they can, then reads the rest."""
        n = 0
        for i, response in enumerate(client.stub.ExecuteStream(api_pb2.ExecuteRequest(sql=sql))):
            n += len(response.result.rows)
            if i == pause_after:
                self.wait_until_still()
        return n

    def wait_until_still(self):
        """The gate's own count of bytes sent has stopped growing: flow control holds everybody."""
        last = -1
        for _ in range(200):
            now = peak_bytes(self.gate_pid), self.cpu_ticks()
            if now == last:
                return
            last = now
            subprocess.run(["sleep", "0.1"], check=True)
        self.fail("the gate goes on working for a reader that does not read")

    def cpu_ticks(self):
        return pathlib.Path(f"/proc/{self.gate_pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[11:13]

    def test_a_million_rows_to_a_slow_reader(self):
        with Cluster(tablets=2, shards=8) as cluster:
            client = cluster.client(timeout=120)
            self.gate_pid = cluster.process("gate-0")["pid"]
            sanitized = is_sanitized(self.gate_pid)
            n_rows = N_ROWS // 10 if sanitized else N_ROWS
            self.fill(client, n_rows)
            self.assertEqual(client.execute("SELECT count(*) FROM big").rows, [(n_rows,)])
            self.assertEqual(self.read_slowly(client, "SELECT k, i, v FROM big", 3), n_rows)
            self.assertEqual(self.read_slowly(client, "SELECT k, i, v FROM big ORDER BY i, k", 3), n_rows)
            peak = peak_bytes(self.gate_pid)
            print(f"gate: peak {peak >> 20} MiB for {n_rows} rows{' (sanitizers)' if sanitized else ''}")
            if not sanitized:
                self.assertLess(peak, MAX_GATE_BYTES)


class Metrics(unittest.TestCase):
    def get(self, address, path):
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as response:
            return response.read().decode()

    def test_promtool_finds_nothing_wrong(self):
        promtool = shutil.which("promtool")
        self.assertIsNotNone(promtool, "promtool is in Debian's package prometheus")
        with Cluster(tablets=2, shards=3) as cluster:
            client = cluster.client()
            client.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
            client.execute("INSERT INTO t VALUES (1, 2)")
            client.execute("SELECT sum(v) FROM t")
            for kind in cluster.describe().values():
                for process in kind:
                    page = self.get(process["http"], "/metrics")
                    checked = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, text=True,
                                             check=False)
                    self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""), process["id"])
                    self.get(process["http"], "/readyz")  # 503 would raise
                    self.get(process["http"], "/healthz")
            gate = self.get(cluster.process("gate-0")["http"], "/metrics")
            for part in ('plan="single_shard"', 'plan="scatter_aggregate"', "_bucket{"):
                self.assertIn(part, gate)


if __name__ == "__main__":
    unittest.main()
