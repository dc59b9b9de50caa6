"""What the gate finishes takes bounded memory, bounded disk, and leaves no files."""

import os
import pathlib
import signal
import unittest

from lib import Cluster, SqlError

FINISH_MEMORY = 1 << 20
# The rest of the gate, and what rows on their way from the tablets take.
MAX_GROWTH = 32 << 20
ROW_BYTES = 4000


def status_bytes(pid, field):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) << 10
    raise AssertionError(f"no {field}")


class Spilling(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(tablets=1, shards=2, flags=[f"gate:--finish-memory={FINISH_MEMORY}", "gate:--finish-disk=96MiB",
                                                          "gate:--finish-total-memory=8MiB"]).__enter__()
        cls.client = cls.cluster.client(timeout=120)
        cls.client.execute("CREATE TABLE big (k INTEGER, i INTEGER, v TEXT, PRIMARY KEY (k, i)) WITHOUT ROWID")
        cls.client.execute("CREATE TABLE few (n INTEGER PRIMARY KEY)")
        cls.n_rows = 4000
        for k in range(40):
            values = ", ".join(f"({k}, {i}, printf('%0*d', {ROW_BYTES}, {k * 100 + i}))" for i in range(cls.n_rows // 40))
            cls.client.execute(f"INSERT INTO big VALUES {values}")
        for n in range(20):
            cls.client.execute(f"INSERT INTO few VALUES ({n})")

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__(None)

    def gate_pid(self):
        return self.cluster.process("gate-0")["pid"]

    def distinct(self, factor):
        """Makes rows of factor * 16 MB at the gate."""
        return f"SELECT count(DISTINCT v || n) FROM big, few WHERE n < {factor}"

    def spill_files(self):
        """Files of the spill folder that the gate has open, and those that have a name."""
        folder = self.cluster.dir / "gate-0"
        fds = pathlib.Path(f"/proc/{self.gate_pid()}/fd")
        links = [os.readlink(fds / fd) for fd in os.listdir(fds) if os.path.islink(fds / fd)]
        return [link for link in links if link.startswith(str(folder))], os.listdir(folder)

    def test_memory_is_bounded(self):
        pid = self.gate_pid()
        sanitized = "libasan" in pathlib.Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
        pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
        before = status_bytes(pid, "VmRSS")
        self.assertEqual(self.client.rows(self.distinct(4)), [(4 * self.n_rows,)])
        growth = status_bytes(pid, "VmHWM") - before
        print(f"gate: {4 * self.n_rows * ROW_BYTES >> 20} MiB of rows in {growth >> 20} MiB more")
        if not sanitized:
            self.assertLess(growth, MAX_GROWTH)

    def test_disk_is_bounded(self):
        with self.assertRaises(SqlError) as failed:
            self.client.rows(self.distinct(20))
        self.assertEqual((failed.exception.code, failed.exception.reason), ("RESOURCE_EXHAUSTED", "SPILL_LIMIT"))
        self.assertEqual(self.client.rows(self.distinct(1)), [(self.n_rows,)])

    def test_values_are_bounded(self):
        wide = ", ".join("group_concat(v)" for _ in range(2))
        with self.assertRaises(SqlError) as failed:
            self.client.rows(f"SELECT {wide} FROM (SELECT v FROM big, few WHERE n < 1)")
        self.assertEqual((failed.exception.code, failed.exception.reason), ("RESOURCE_EXHAUSTED", "FINISH_MEMORY"))
        self.assertEqual(self.client.rows("SELECT count(*) FROM big, few WHERE n < 1"), [(self.n_rows,)])

    def test_files_have_no_names(self):
        chunks = self.client.chunks("SELECT v, n FROM big, few WHERE n < 1 ORDER BY v, n DESC")
        next(chunks)
        opened, named = self.spill_files()
        self.assertTrue(opened)
        self.assertEqual(named, [])
        os.kill(self.gate_pid(), signal.SIGKILL)
        with self.assertRaises(SqlError):
            list(chunks)
        self.assertEqual(os.listdir(self.cluster.dir / "gate-0"), [])
        self.cluster.restart("gate-0")


if __name__ == "__main__":
    unittest.main()
