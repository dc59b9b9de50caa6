"""Queries over many rows and joins, against the same data in one file of plain SQLite in process."""

import random
import sqlite3

from measure import LoadFailed, json_lines, load, median, ratio, write_requests

N_JOINED = 100000
N_GROUPS = 100
N_BATCH = 1000  # rows with the same s, which lie on one shard and are inserted together
SHARD_BY = " SHARD BY HASH (s)"
SCHEMA = ("CREATE TABLE t (s INTEGER, g INTEGER, x INTEGER, y REAL)" + SHARD_BY,
          "CREATE TABLE a (id INTEGER PRIMARY KEY, k INTEGER, ref INTEGER, x INTEGER)",
          "CREATE TABLE b (id INTEGER PRIMARY KEY, k INTEGER, x INTEGER)")
AGGREGATE = "SELECT g, COUNT(*), SUM(x), AVG(y) FROM t GROUP BY g"
JOIN = "SELECT COUNT(*), SUM(a.x), SUM(b.x) FROM a JOIN b ON a.k = b.k"
POINT = "SELECT x, ref FROM a WHERE id = ?"
KEY_JOIN = "SELECT a.x, b.x FROM a JOIN b ON b.id = a.ref WHERE a.id = ?"


def make_rows(n_rows):
    rng = random.Random(1)
    keys = [list(range(N_JOINED)) for _ in "ab"]
    for k in keys:
        rng.shuffle(k)
    yield "t", ((i // N_BATCH, rng.randrange(N_GROUPS), rng.randrange(1000), rng.randrange(10000) / 8) for i in range(n_rows))
    yield "a", ((i, 3 * keys[0][i], rng.randrange(N_JOINED), rng.randrange(1000)) for i in range(N_JOINED))
    yield "b", ((i, 3 * keys[1][i], rng.randrange(1000)) for i in range(N_JOINED))


def insert_many(client, table, batches):
    """Each batch lies on one shard: one INSERT, a few of them under way at a time."""
    from lib.protos import api_pb2 as pb

    def value(v):
        return pb.Value(real=v) if isinstance(v, float) else pb.Value(integer=v)

    under_way = []
    for rows in batches:
        if len(under_way) == 8:
            under_way.pop(0).result()
        sql = f"INSERT INTO {table} VALUES " + ", ".join(["(" + ", ".join("?" * len(rows[0])) + ")"] * len(rows))
        params = [value(v) for row in rows for v in row]
        under_way.append(client.stub.Execute.future(pb.ExecuteRequest(sql=sql, params=params), timeout=120))
    for call in under_way:
        call.result()


def insert_singly(client, table, rows):
    from lib.protos import api_pb2 as pb

    sql = f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})"
    for i in range(0, len(rows), 1000):
        statements = [pb.Statement(sql=sql, params=[pb.Value(integer=v) for v in row]) for row in rows[i:i + 1000]]
        client.stub.ExecuteBatch(pb.ExecuteBatchRequest(statements=statements), timeout=120)


def fill(cluster, directory, n_rows):
    """The same rows into the cluster and into the file."""
    db = sqlite3.connect(directory / "plain.db")
    client = cluster.client()
    db.execute("PRAGMA journal_mode = WAL")
    for sql in SCHEMA:
        client.execute(sql)
        db.execute(sql.replace(SHARD_BY, ""))
    for table, rows in make_rows(n_rows):
        rows = list(rows)
        if table == "t":
            insert_many(client, table, (rows[i:i + N_BATCH] for i in range(0, n_rows, N_BATCH)))
        else:
            insert_singly(client, table, rows)
        db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
        db.commit()
    return db


def check_same(cluster, db, sql):
    ours, theirs = sorted(cluster.client().execute(sql).rows), sorted(map(list, db.execute(sql).fetchall()))
    close = len(ours) == len(theirs) and all(abs(x - y) <= 1e-9 * abs(y) for r, s in zip(ours, theirs) for x, y in zip(r, s))
    if not close:
        raise SystemExit(f"{sql}: the answers differ")


def measure_query(args, cluster, db, directory, label, sql, aim):
    from lib.protos import api_pb2 as pb

    requests = write_requests(directory / "query", [pb.ExecuteRequest(sql=sql)])
    pids = [cluster.process(p)["pid"] for p in ("gate-0", "tablet-0", "tablet-1")]
    try:
        check_same(cluster, db, sql)
        gate, plain = [], []
        for _ in range(args.rounds):
            gate.append(load(args.build, cluster.gate, 1, 3 * args.seconds, pids, requests))
            plain += json_lines(args.build / "tests/bench/plain_queries", directory / "plain.db", args.seconds, sql)
    except Exception as error:  # what the gate cannot do, and why, is a result, too
        if not isinstance(error, LoadFailed) and not hasattr(error, "reason"):
            raise
        print(f"  {label:34} {error}", flush=True)
        return
    cpu = [median([g["cpu_us"][i] for g in gate]) / 1e3 for i in range(3)]
    print(f"  {label:34}{ratio([g['p50_us'] / p['p50_us'] for g, p in zip(gate, plain)]):22}{aim:4.2f}"
          f"{median([g['p50_us'] for g in gate]) / 1e3:10.1f}{median([p['p50_us'] for p in plain]) / 1e3:10.1f}"
          f"     {cpu[0]:.0f}, {cpu[1]:.0f}, {cpu[2]:.0f}; {median([p['cpu_us'] for p in plain]) / 1e3:.0f}", flush=True)


def measure_key_join(args, cluster, directory):
    from lib.protos import api_pb2 as pb

    rng = random.Random(3)
    files = [write_requests(directory / name, (pb.ExecuteRequest(sql=sql, params=[pb.Value(integer=rng.randrange(N_JOINED))])
                                               for _ in range(10000)))
             for name, sql in (("join", KEY_JOIN), ("point", POINT))]
    pairs = [[load(args.build, cluster.gate, 1, args.seconds, (), f) for f in files] for _ in range(args.rounds)]
    print("A JOIN OF ONE ROW BY KEY to another table by key, against a point read, both through the gate, one in flight. Aim: at most 3.00.")
    print(f"  {ratio([j['p50_us'] / p['p50_us'] for j, p in pairs])} point reads: {median([j['p50_us'] for j, _ in pairs]):.0f} us, a "
          f"point read {median([p['p50_us'] for _, p in pairs]):.0f} us", flush=True)


def queries(args, directory):
    from lib import Cluster

    print(f"QUERIES OVER MANY ROWS, 16 shards on 2 tablets, against one file of plain SQLite in process: time of one query (p50).\n"
          f"  {'query':34}of SQLite's time      aim   gate ms  SQLite ms  CPU ms of gate, tablet, tablet; SQLite", flush=True)
    with Cluster(tablets=2, shards=16) as cluster:
        db = fill(cluster, directory, args.rows)
        measure_query(args, cluster, db, directory, f"GROUP BY over {args.rows} rows", AGGREGATE, 0.8)
        measure_query(args, cluster, db, directory, f"{N_JOINED} joined with {N_JOINED} rows", JOIN, 3)
        measure_key_join(args, cluster, directory)
        db.close()
