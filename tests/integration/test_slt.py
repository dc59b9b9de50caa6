"""sqllogictest files of ../shared/corpora, where they are there: the first records of each, or with --long all of them."""

import os
import sys
import unittest

import slt_conn
from lib import Cluster
from lib.shared import find_shared

RUNNER = find_shared("corpora/slt.py")
LONG = bool(os.environ.get("SHOAL_TEST_LONG"))
# The first so many records of each file, by number of shards; of the queries every third.
N_RECORDS, EVERY = {1: 30, 3: 90, 8: 30}, 3


@unittest.skipUnless(RUNNER, "the corpora are not there")
class SqlLogicTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(tablets=2, shards=3).__enter__()
        cls.addClassCleanup(cls.cluster.close)
        sys.path.insert(0, str(RUNNER.parent))
        cls.addClassCleanup(sys.path.remove, str(RUNNER.parent))

    def files(self):
        for line in (RUNNER.parent / "subset.txt").read_text(encoding="utf-8").splitlines():
            name = line.split("#")[0].strip()
            if name:
                yield name, RUNNER.parent / "sqllogictest" / name

    def run_all(self, shards):
        import slt
        environment = {"SHOAL_CLUSTER": str(self.cluster.dir), "SHOAL_SLT_SHARDS": str(shards), "SHOAL_SLT_PLAIN_PATH": "1"}
        os.environ.update(environment)
        self.addCleanup(lambda: [os.environ.pop(name) for name in environment])
        n_ok = 0
        for name, path in self.files():
            with self.subTest(name, shards=shards):
                slt_conn.refused_queries.clear()
                result = slt.run_file(str(path), "slt_conn:Shoal", None, 10, 0 if LONG else N_RECORDS[shards], 1 if LONG else EVERY)
                failures = [f for f in result["failures"] if not f.get("unsup")]
                self.assertEqual((result["fail"], failures), (0, []))
                self.assertEqual(slt_conn.refused_queries, [])
                n_ok += result["ok"]
        self.assertGreater(n_ok, 500)

    def test_one_shard(self):
        self.run_all(1)

    def test_three_shards(self):
        self.run_all(3)

    def test_eight_shards(self):
        self.run_all(8)


if __name__ == "__main__":
    unittest.main()
