"""What the integration tests stand on: a cluster of real processes, a client, plain SQLite as the oracle.

    from lib import Client, Cluster, Oracle, SqlError, assert_same
"""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "deploy" / "local"))

from lib.client import Client, Result, SqlError, Topo  # noqa: E402,F401
from lib.cluster import Cluster, wait_for  # noqa: E402,F401
from lib.keyspace import Keyspace  # noqa: E402,F401
from lib.oracle import Oracle, RawText, assert_same, assert_same_error, same_rows  # noqa: E402,F401
from lib.twin import Clusters, Twin  # noqa: E402,F401
