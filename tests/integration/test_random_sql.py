"""Random tables, rows, writes and queries over several tables: Shoal on 1, 3 and 8 shards against sqlite3 (tests/random).

SHOAL_TEST_SEED runs one seed; tests/random/run runs as many as wanted and writes what differs to files.
"""

import os
import pathlib
import sys
import unittest

from lib import Clusters

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "random"))

from randsql.campaign import Campaign  # noqa: E402
from randsql.sides import Shoal  # noqa: E402

N_SEEDS, N_LONG_SEEDS, N_QUERIES = 3, 60, 150
clusters = None


def setUpModule():
    global clusters
    clusters = Clusters()
    clusters.start()


def tearDownModule():
    clusters.stop()


class Random(unittest.TestCase):
    def run_seeds(self, number):
        """On the number-th cluster, seeds that no other has."""
        shards, cluster = clusters.clusters[number]
        n = N_LONG_SEEDS if os.environ.get("SHOAL_TEST_LONG") else N_SEEDS
        seeds = [int(os.environ["SHOAL_TEST_SEED"])] if os.environ.get("SHOAL_TEST_SEED") else range(number * 1000, number * 1000 + n)
        shoal = Shoal(cluster.gate, cluster.topo, shards)
        self.addCleanup(shoal.close)
        campaign = Campaign(shoal, tell=lambda text: None)
        for seed in seeds:
            with self.subTest(shoal.label, seed=seed):
                n_before = len(campaign.counts.differences)
                campaign.run_seed(seed, N_QUERIES)
                self.assertEqual(len(campaign.counts.differences), n_before, "\n".join(t for _, t in campaign.counts.differences))
        self.assertGreater(campaign.counts.n_queries, N_QUERIES / 2)
        self.assertEqual(dict(campaign.counts.refused), {}, "queries are refused")
        self.assertLessEqual(len(campaign.counts.indefinite), campaign.counts.n_queries * 0.002, campaign.counts.indefinite)

    def test_one_shard(self):
        self.run_seeds(0)

    def test_three_shards(self):
        self.run_seeds(1)

    def test_eight_shards(self):
        self.run_seeds(2)


if __name__ == "__main__":
    unittest.main()
