"""Parsing and planning at the gate, against sqlite3_prepare_v2() of the same text."""

from measure import json_lines, median, ratio

N_BLOCKS = 30  # of 100 statements, in each round


def plans(args, _directory):
    programs = args.build / "tests/bench/plan_cost", args.build / "tests/bench/plain_plans"
    pairs = [[json_lines(program, N_BLOCKS) for program in programs] for _ in range(args.rounds)]
    print("PARSING AND PLANNING, processor time of one thread, against sqlite3_prepare_v2() of the same text in a database of the same\n"
          "schema. Aims: a statement never seen before at most 2.00, one from the cache at most 0.10.")
    print("  statement    never seen,           us of     us of     the same text again,  new only in its literals,\n"
          "               of SQLite's           gate      SQLite    of SQLite's           of SQLite's", flush=True)
    for i, first in enumerate(pairs[0][0]):
        gate, plain = [p[0][i] for p in pairs], [p[1][i] for p in pairs]
        fresh, same, literals = ([g[name] / p[base] for g, p in zip(gate, plain)] for name, base in
                                 (("fresh_us", "fresh_us"), ("same_us", "fresh_us"), ("literals_us", "literals_us")))
        print(f"  {first['statement']:13}{ratio(fresh):22}{median([g['fresh_us'] for g in gate]):5.2f}     "
              f"{median([p['fresh_us'] for p in plain]):5.2f}     {ratio(same):22}{ratio(literals)}", flush=True)
