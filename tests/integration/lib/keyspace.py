"""Keyspaces that tests make on a running cluster."""

from lib.client import Client, SqlError, Topo
from lib.cluster import wait_for


def create_keyspace(topo, client, shards):
    """Makes the client's keyspace and waits until the client's gate serves it."""

    def is_there():
        try:
            client.execute("SELECT 1")
        except SqlError as e:
            if e.code not in ("NOT_FOUND", "UNAVAILABLE"):
                raise
            return False
        return True

    topo.create_keyspace(client.keyspace, shards)
    wait_for(f"the gate to be told of keyspace {client.keyspace}", is_there)


class Keyspace:
    """A keyspace of its own, made at once and dropped by close(). client speaks to it through the gate of that address."""

    def __init__(self, gate, topo, name, shards):
        self.topo = Topo(topo)
        self.client = Client(gate, name, timeout=60)
        create_keyspace(self.topo, self.client, shards)

    def close(self):
        try:
            self.topo.drop_keyspace(self.client.keyspace, force=True)
        finally:
            self.client.close()
            self.topo.close()
