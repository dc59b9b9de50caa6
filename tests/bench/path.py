"""Point reads and durable writes of one row through gate and tablet."""

import os
import random

from measure import Bare, json_lines, load, median, ratio, write_requests

CALLS = (1, 16, 64)
N_ROWS = 20000
N_REQUESTS = 50000
HEADING = """\
  in        of the bare path,    gate and tablet                                     bare path
  flight    calls a second       calls/s   p50 us   p99 us  CPU us a call of         calls/s   p50 us   p99 us  CPU us a call of
            (all rounds)                                    gate  tablet  client                                proxy  server  client"""


def print_row(calls, pairs):
    """pairs: (gate, bare) of each round; the figures besides the ratio are those of the round in the middle."""
    pairs = sorted(pairs, key=lambda p: p[0]["requests_per_s"] / p[1]["requests_per_s"])
    gate, bare = pairs[len(pairs) // 2]

    def side(r):
        return (f"{r['requests_per_s']:9.0f}{r['p50_us']:9.0f}{r['p99_us']:9.0f}  {r['cpu_us'][0]:5.1f}{r['cpu_us'][1]:8.1f}"
                f"{r['load_cpu_us']:8.1f}")

    ratios = [g["requests_per_s"] / b["requests_per_s"] for g, b in pairs]
    print(f"  {calls:4}      {ratio(ratios):17}{side(gate)}   {side(bare)}", flush=True)


def read_requests(path):
    from lib.protos import api_pb2 as pb

    rng = random.Random(1)
    return write_requests(path, (pb.ExecuteRequest(sql="SELECT * FROM r WHERE id = ?",
                                                   params=[pb.Value(integer=rng.randrange(N_ROWS))])
                                 for _ in range(N_REQUESTS)))


def write_row_requests(path):
    from lib.protos import api_pb2 as pb

    rng = random.Random(2)
    return write_requests(path, (pb.ExecuteRequest(sql="INSERT OR REPLACE INTO w VALUES (?, ?)",
                                                   params=[pb.Value(integer=rng.randrange(100000)), pb.Value(text="x" * 100)])
                                 for _ in range(N_REQUESTS)))


def fill(client):
    from lib.protos import api_pb2 as pb

    client.execute("CREATE TABLE r (id INTEGER PRIMARY KEY, v TEXT)")
    rows = [pb.Statement(sql="INSERT INTO r VALUES (?, ?)", params=[pb.Value(integer=i), pb.Value(text="x" * 100)])
            for i in range(N_ROWS)]
    for i in range(0, N_ROWS, 1000):
        client.stub.ExecuteBatch(pb.ExecuteBatchRequest(statements=rows[i:i + 1000]), timeout=120)


def measure_pairs(args, cluster, bare, calls, requests):
    gate = cluster.process("gate-0")
    pids = [gate["pid"], cluster.process("tablet-0")["pid"]]
    for _ in range(args.rounds):
        yield (load(args.build, gate["address"], calls, args.seconds, pids, requests),
               load(args.build, bare.proxy.address, calls, args.seconds, bare.pids))


def reads(args, directory):
    from lib import Cluster

    requests = read_requests(directory / "reads")
    print("POINT READS of one row by key. Bare path: the same two gRPC hops (a proxy that passes unary calls on over persistent "
          "streams,\na server that sends them back), no SQL. 1.00 would be as fast as that; aim: at least 0.60 at 64 in flight.")
    print(HEADING, flush=True)
    with Cluster(tablets=1, shards=8) as cluster, Bare(args.build / "tests/bench/bare_path") as bare:
        fill(cluster.client())
        for calls in CALLS:
            print_row(calls, list(measure_pairs(args, cluster, bare, calls, requests)))


def measure_writes(args, directory, slow):
    """Of each number of calls: the pairs, and what plain SQLite does."""
    from lib import Cluster

    env = {"LD_PRELOAD": str(args.build / "tests/bench/libslow_sync.so"), "SHOAL_SYNC_US": "1000"} if slow else {}
    requests = write_row_requests(directory / "writes")
    with (Cluster(tablets=1, shards=8, env=[f"tablet:{k}={v}" for k, v in env.items()]) as cluster,
          Bare(args.build / "tests/bench/bare_path") as bare):
        cluster.client().execute("CREATE TABLE w (id INTEGER PRIMARY KEY, v TEXT)")
        for calls in CALLS:
            pairs, plain = [], []
            for pair in measure_pairs(args, cluster, bare, calls, requests):
                pairs.append(pair)
                plain += json_lines(args.build / "tests/bench/plain_writes", directory / f"plain-{slow}-{calls}.db", calls,
                                    args.seconds, env={**os.environ, **env})
            yield calls, pairs, plain


def writes(args, directory):
    for slow in (False, True):
        disk = "with 1 ms added to every fsync, ours and SQLite's" if slow else "on this disk as it is"
        print(f"DURABLE WRITES of one row, {disk}; the bare path writes nothing.")
        print(HEADING, flush=True)
        lines = []
        for calls, pairs, plain in measure_writes(args, directory, slow):
            print_row(calls, pairs)
            ratios = [g["requests_per_s"] / p["requests_per_s"] for (g, _), p in zip(pairs, plain)]
            lines.append(f"  {calls:4}      {ratio(ratios):17}{median([g['requests_per_s'] for g, _ in pairs]):9.0f}"
                         f"{median([p['requests_per_s'] for p in plain]):9.0f}")
        print("  the same writes against plain SQLite: in one process, so many threads on one connection, one transaction a row\n"
              "  in        of plain SQLite,      gate     SQLite\n"
              "  flight    writes a second       writes/s writes/s")
        print("\n".join(lines), flush=True)
