"""The command line against a gate that does what it is told: modes, errors, exit codes, imports, scripts, the terminal."""

import json
import os
import pathlib
import signal
import subprocess
import tempfile
import unittest

from lib.cluster import build_dir, wait_for
from lib.fake_gate import FakeGate
from lib.terminal import Terminal

SHOAL = str(build_dir() / "cli" / "shoal")


class ShellTest(unittest.TestCase):
    """A fake gate and a directory for each test."""

    def setUp(self):
        self.gate = self.enterContext(FakeGate())
        self.dir = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="shoal-test-")))

    def env(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("SHOAL_")}
        return {**env, "SHOAL_GATE": self.gate.address, "SHOAL_HISTORY": str(self.dir / "history")}

    def shoal(self, *args, text="", code=0, **env):
        """Runs shoal; checks the exit code; returns its output and its errors."""
        done = subprocess.run([SHOAL, *args], input=text, capture_output=True, text=True, check=False, timeout=60,
                              env={**self.env(), **env}, cwd=self.dir)
        self.assertEqual(done.returncode, code, f"{args} {text[:200]}\n{done.stdout}\n{done.stderr}")
        return done.stdout, done.stderr

    def out(self, *args, **options):
        out, errors = self.shoal(*args, **options)
        self.assertEqual(errors, "")
        return out

    def write(self, name, text):
        path = self.dir / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    def rows(self, sql):
        return self.gate.db.execute(sql).fetchall()

    def count(self, table):
        return self.rows(f"SELECT count(*) FROM {table}")[0][0]


class Modes(ShellTest):
    SQL = "SELECT 1 AS a, 'x y' AS b UNION ALL SELECT 20, NULL"

    def test_modes(self):
        for args, want in [
                ((), "1|x y\n20|\n"),
                (("--headers",), "a|b\n1|x y\n20|\n"),
                (("--mode", "csv"), '1,"x y"\n20,\n'),
                (("--mode", "csv", "--headers"), 'a,b\n1,"x y"\n20,\n'),
                (("--json",), '[{"a":1,"b":"x y"},\n{"a":20,"b":null}]\n'),
                (("--mode", "table"),
                 "+----+------+\n|  a | b    |\n+----+------+\n|  1 | x y  |\n| 20 | NULL |\n+----+------+\n")]:
            with self.subTest(args):
                self.assertEqual(self.out(*args, self.SQL), want)

    def test_dot_settings(self):
        out = self.out(text=f".mode csv\n.headers on\n.nullvalue '-'\n{self.SQL};\n.mode\n.mode list\n.headers off\n"
                       f"{self.SQL};\n.keyspace shop\n.keyspace\nSELECT 1;\n")
        self.assertEqual(out, 'a,b\n1,"x y"\n20,-\ncsv\n1|x y\n20|-\nshop\n1\n')
        self.assertEqual(self.gate.keyspaces, {"main", "shop"})

    def test_stats_and_timer(self):
        out = self.out(text=".stats on\n.timer on\nSELECT 1;\n")
        self.assertRegex(out, r"\A1\nplan: fake, 1 shard, 1\.500 ms\n  -80 +tablet-0 +1 row +10 bytes +0\.020 ms\n"
                              r"Run Time: real \d+\.\d{3}\n\Z")

    def test_output(self):
        self.assertEqual(self.out(text=".output o.txt\nSELECT 1;\n.output\nSELECT 2;\n"), "2\n")
        self.assertEqual((self.dir / "o.txt").read_text(), "1\n")

    def test_json_is_json(self):
        out = self.out("--json", "SELECT 'ä\n\"\\' AS t, 1e999 AS inf, 0.1+0.2 AS r, x'0aff' AS b, char(0) AS z, "
                                 "CAST(x'ff' AS TEXT) AS raw")
        self.assertEqual(json.loads(out), [{"t": 'ä\n"\\', "inf": float("inf"), "r": 0.1 + 0.2, "b": "x'0aff'",
                                           "z": "\0", "raw": "\ufffd"}])

    def test_a_large_result(self):
        sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) SELECT i, 'row ' || i FROM n"
        self.assertEqual(self.out(sql), "".join(f"{i}|row {i}\n" for i in range(1, 50001)))
        table = self.out("--mode", "table", sql)
        self.assertEqual(table.count("\n"), 50004)

    def test_reader_that_leaves(self):
        done = subprocess.run(["bash", "-c", f"'{SHOAL}' \"$1\" | head -1", "-",
                               "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<90000) SELECT i FROM n"],
                              capture_output=True, text=True, check=True, timeout=60, env=self.env())
        self.assertEqual((done.stdout, done.stderr), ("1\n", ""))


class Errors(ShellTest):
    def test_exit_codes(self):
        for args, code in [(("SELECT 1",), 0), (("SELECT nope",), 1), (("SELECT 1", "SELECT nope"), 1),
                           (("--nope",), 2), (("--mode", "x"), 2), (("keyspace",), 2), (("--cluster", "nowhere"), 2),
                           (("--force", "SELECT 1"), 2), (("--gate", "127.0.0.1:1", "SELECT 1"), 3),
                           (("--topo", "127.0.0.1:1", "tablet", "list"), 3), (("tablet", "list"), 2),
                           (("--help",), 0), (("help", "keyspace"), 0), (("--version",), 0)]:
            with self.subTest(args):
                self.shoal(*args, code=code)

    def test_no_gate_is_known(self):
        _, errors = self.shoal("SELECT 1", code=1, SHOAL_GATE="")
        self.assertIn("--gate HOST:PORT", errors)

    def test_messages(self):
        for text, want in [
                ("SELECT * FROM nope", "Runtime error: no such table: nope (1) [NOT_FOUND UNKNOWN_TABLE]\n"),
                ("SELECT 1\n FROM WHERE", 'Parse error: near "WHERE": syntax error [INVALID_ARGUMENT SYNTAX_ERROR]\n'
                                          "   FROM WHERE\n        ^--- error here\n")]:
            with self.subTest(text):
                self.assertEqual(self.shoal(text, code=1), ("", want))

    def test_lines_of_scripts(self):
        out, errors = self.shoal(text="SELECT 1;\n-- a comment\n\nSELECT\n nope;\n.nope\n.mode a b\nSELECT 2;", code=1)
        self.assertEqual(out, "1\n2\n")
        self.assertEqual([line.split(":")[0] for line in errors.splitlines()],
                         ["Runtime error near line 4", "Error near line 6", "Error near line 7"])

    def test_files_are_named(self):
        self.write("s.sql", "SELECT 1;\nSELECT nope;\n")
        _, errors = self.shoal(text=".read s.sql\n", code=1)
        self.assertTrue(errors.startswith("Runtime error at s.sql:2: no such column: nope"), errors)

    def test_bail(self):
        self.assertEqual(self.shoal("--bail", text="SELECT 1;\nSELECT nope;\nSELECT 2;\n", code=1)[0], "1\n")
        self.write("s.sql", "SELECT nope;\nSELECT 2;\n")
        self.assertEqual(self.shoal(text=".bail on\n.read s.sql\nSELECT 3;\n", code=1)[0], "")

    def test_unavailable_stops_a_script(self):
        _, errors = self.shoal("--gate", "127.0.0.1:1", text="SELECT 1;\nSELECT 2;\n", code=3)
        self.assertEqual(errors.count("UNAVAILABLE"), 1)

    def test_unavailable_outweighs_a_failed_statement(self):
        self.gate.db.execute("CREATE TABLE t(a)")
        self.gate.unavailable = 1 << 30
        self.write("t.csv", "1\n")
        self.shoal(text="SELECT nope;\n.import t.csv t\n", code=3)

    def test_timeout(self):
        _, errors = self.shoal("--timeout", "200ms", "SELECT wait_for_ever", code=1)
        self.assertIn("[DEADLINE_EXCEEDED]", errors)
        self.assertTrue(self.gate.cancelled.wait(10))

    def test_interrupt(self):
        process = subprocess.Popen([SHOAL, "SELECT wait_for_ever"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True, env=self.env())
        self.assertTrue(self.gate.waiting.wait(20))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        self.assertEqual(process.returncode, 130)
        self.assertIn("interrupted", errors)
        self.assertTrue(self.gate.cancelled.wait(10))


class Scripts(ShellTest):
    def test_statements(self):
        self.assertEqual(self.out("SELECT ';'; SELECT 2 -- ; \n; ; SELECT /* ; */ 3"), ";\n2\n3\n")
        self.assertEqual(self.out(text="CREATE TABLE t(a);\nCREATE TRIGGER r AFTER INSERT ON t BEGIN\n  DELETE FROM t;\n"
                                       "  SELECT 1;\nEND;\nSELECT count(*)\nFROM sqlite_schema"), "2\n")

    def test_dots_inside_statements(self):
        self.assertEqual(self.out(text="SELECT '\n.quit\n';\n/*\n.quit\n*/\nSELECT 2;\n.quit\nSELECT 3;\n"),
                         "\n.quit\n\n2\n")

    def test_nested_read(self):
        self.write("a.sql", "SELECT 'a';\n.read b.sql\nSELECT 'A';\n")
        self.write("b.sql", "SELECT 'b';\n")
        self.assertEqual(self.out(text=".read a.sql\nSELECT 'end';\n"), "a\nb\nA\nend\n")

    def test_read_of_itself_ends(self):
        self.write("a.sql", ".read a.sql\n")
        self.assertIn("nested too deeply", self.shoal(text=".read a.sql\n", code=1)[1])

    def test_quit_in_a_file(self):
        self.write("a.sql", "SELECT 1;\n.quit\nSELECT 2;\n")
        self.assertEqual(self.out(text=".read a.sql\nSELECT 3;\n"), "1\n")

    def test_a_long_statement_with_semicolons(self):
        lines = "".join(f"&lt;{i}&gt;\n" for i in range(60000))
        self.assertEqual(self.out(text=f"SELECT length('{lines}');\nSELECT 2;\n"), f"{len(lines)}\n2\n")

    def test_inserts_of_several_rows(self):
        self.gate.spans = True
        values = ",\n".join(f"  ({i}, 'row ({i}), ''{i}''; ä')" for i in range(1, 1001))
        script = ("CREATE TABLE t(a INTEGER PRIMARY KEY, b);\n"
                  f"INSERT INTO [t] (a, b) VALUES\n{values};\n"
                  "INSERT INTO t VALUES (2001, 'x'), (2002, 'y') ON CONFLICT DO NOTHING;\n"
                  "SELECT count(*), sum(a), min(b) FROM t;\n")
        out, errors = self.shoal(text=script)
        self.assertEqual(out, "1002|504503|row (1), '1'; ä\n")
        self.assertEqual(errors.count("row by row, not atomically"), 1)
        self.assertEqual(errors.count("\n"), 1)

    def test_rows_that_fail_have_their_line(self):
        self.gate.spans = True
        script = "CREATE TABLE t(a UNIQUE);\nINSERT INTO t VALUES\n (1),\n (2),\n (1),\n (3);\n"
        self.write("s.sql", script)
        _, errors = self.shoal(text=".read s.sql\n", code=1)
        self.assertIn("s.sql:5: UNIQUE constraint failed: t.a", errors)
        self.assertIn("1 of 4 rows of the INSERT were not inserted", errors)
        self.assertEqual(sorted(self.rows("SELECT a FROM t")), [(1,), (2,), (3,)])

    def test_what_cannot_be_split_is_refused(self):
        self.gate.spans = True
        _, errors = self.shoal(text="CREATE TABLE t(a);\nINSERT INTO t VALUES (1), (2) RETURNING a;\n", code=1)
        self.assertIn("WRITE_SPANS_SHARDS", errors)
        self.assertEqual(self.count("t"), 0)
        # One asked for by hand is a statement, and a statement is atomic.
        self.assertIn("WRITE_SPANS_SHARDS", self.shoal("INSERT INTO t VALUES (1), (2)", code=1)[1])


class Imports(ShellTest):
    def test_a_new_table(self):
        self.write("p.csv", 'name,"a ""b""",name,\r\nann,"x, y\r\nz",,1\r\n"bob",2,3,4\r\n')
        self.assertEqual(self.out(text=".import p.csv people\n"), "")
        self.assertEqual([r[1:3] for r in self.rows("PRAGMA table_info(people)")],
                         [("name", "TEXT"), ('a "b"', "TEXT"), ("name_2", "TEXT"), ("c4", "TEXT")])
        self.assertEqual(sorted(self.rows("SELECT * FROM people")),
                         [("ann", "x, y\r\nz", "", "1"), ("bob", "2", "3", "4")])

    def test_an_existing_table(self):
        self.gate.db.execute("CREATE TABLE t(a INTEGER, b REAL, c)")
        self.write("t.csv", "skipped\n1,2,3\n4,5\n6,7,8,9\n")
        _, errors = self.shoal(text=".import --skip 1 t.csv t\n")
        self.assertEqual(errors, "t.csv:3: expected 3 columns but found 2 - filling the rest with NULL\n"
                                 "t.csv:4: expected 3 columns but found 4 - extras ignored\n")
        self.assertEqual(sorted(self.rows("SELECT * FROM t")), [(1, 2.0, "3"), (4, 5.0, None), (6, 7.0, "8")])

    def test_rows_that_fail(self):
        self.gate.db.execute("CREATE TABLE t(a UNIQUE)")
        self.write("t.csv", "1\n2\n1\n3\n")
        _, errors = self.shoal(text=".import t.csv t\n", code=1)
        self.assertIn("t.csv:3: INSERT failed: UNIQUE constraint failed: t.a", errors)
        self.assertIn("1 of 4 rows were not inserted", errors)
        self.assertEqual(self.count("t"), 3)

    def test_many_rows_arrive_once(self):
        """Answers that get lost and tablets that are away for a moment neither lose a row nor double one."""
        self.gate.lost_answers = 3
        self.gate.unavailable = 100
        self.gate.unknown = 30
        self.write("t.csv", "a,b\n" + "".join(f"{i},text {i}\n" for i in range(5000)))
        self.out(text=".import t.csv t\n")
        self.assertEqual(self.rows("SELECT count(*), count(DISTINCT a), sum(a) FROM t"), [(5000, 5000, 12497500.0)])
        # Those that were not done at first came later, all others in order.
        order = [int(a) for a, in self.rows("SELECT a FROM t ORDER BY rowid")]
        self.assertEqual(sum(1 for a, b in zip(order, order[1:]) if b != a + 1), 2)
        self.assertGreater(self.gate.n_batches, 5)

    def test_tablet_that_stays_away(self):
        """The import stops after a while; it does not go on to fail row by row."""
        self.gate.db.execute("CREATE TABLE t(a)")
        self.gate.unavailable = 1 << 30
        self.write("t.csv", "1\n" * 3000)
        _, errors = self.shoal(text=".import t.csv t\nSELECT 1;\n", code=3)
        self.assertEqual(errors, "Error near line 1: t.csv: stopped after 0 rows: a tablet is away [UNAVAILABLE]\n")
        self.assertEqual(self.gate.n_batches, 9)

    def test_interrupt(self):
        self.gate.db.execute("CREATE TABLE t(a)")
        self.gate.unavailable = 1 << 30
        self.write("t.csv", "1\n")
        with subprocess.Popen([SHOAL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=self.env(), cwd=self.dir) as process:
            process.stdin.write(".import t.csv t\nSELECT 1;\n")
            process.stdin.flush()
            wait_for("the first batch", lambda: self.gate.n_batches)
            process.send_signal(signal.SIGINT)
            out, errors = process.communicate(timeout=20)
        self.assertEqual((process.returncode, out), (130, ""))
        self.assertIn("interrupted", errors)

    def test_bad_input(self):
        self.gate.db.execute("CREATE TABLE t(a)")
        for name, text, why in [("none", None, "cannot open"), ("open", 'x\n"y', "line 2: a quote is not closed"),
                                ("empty", "", "is empty")]:
            with self.subTest(name):
                if text is not None:
                    self.write(name, text)
                table = "new" if name == "empty" else "t"
                self.assertIn(why, self.shoal(text=f".import {name} {table}\n", code=1)[1])
        self.assertIn("usage: .import", self.shoal(text=".import t\n", code=1)[1])
        self.assertIn("--skip takes a number", self.shoal(text=".import --skip x f t\n", code=1)[1])


class OnATerminal(ShellTest):
    def terminal(self, *args):
        return self.enterContext(Terminal([SHOAL, *args], self.env()))

    def test_a_session(self):
        t = self.terminal()
        t.expect("keyspace main")
        t.expect("main> ")
        t.type("SELECT 1 AS a,\n")
        t.expect(" ...> ")
        t.type("NULL AS b;\n")
        self.assertIn("| a | b    |\r\n", t.expect("(1 row)"))
        t.expect("main> ")
        t.type("CREATE TABLE t(a);\n")
        t.expect("main> ")
        t.type("INSERT INTO t VALUES (1), (2);\n")
        t.expect("(2 rows changed)")
        t.expect("main> ")
        t.await_editor()
        t.type("SELECT 'dropped' +\x03")
        t.expect("^C")
        t.expect("main> ")
        t.type("SELECT 3;\n")
        t.expect("| 3 |")
        t.expect("main> ")
        t.type("SELECT wait_for_ever;\n")
        self.assertTrue(self.gate.waiting.wait(20))
        t.type("\x03")
        t.expect("interrupted")
        t.expect("main> ")
        t.await_editor()
        t.type("\x04")
        self.assertEqual(t.wait(), 0)

    def test_history(self):
        t = self.terminal()
        t.expect("> ")
        t.type("SELECT 'first ' || 'time';\n")
        t.expect("| first time  ")
        t.expect("> ")
        t.type(".quit\n")
        self.assertEqual(t.wait(), 0)
        self.assertEqual((self.dir / "history").stat().st_mode & 0o777, 0o600)
        again = self.terminal()
        again.expect("> ")
        again.type("\x1b[A\x1b[A\n")
        again.expect("| first time  ")
        again.type(".exit\n")
        self.assertEqual(again.wait(), 0)

    def test_progress(self):
        """A bar while a file is read, and nothing left of it."""
        self.write("t.csv", "a\n" + "x" * 500 + "\n" * 1)
        with open(self.dir / "t.csv", "a", encoding="ascii") as f:
            f.writelines("x" * 500 + "\n" for _ in range(60000))
        t = self.terminal()
        t.expect("> ")
        t.type(f".import {self.dir}/t.csv t\n")
        t.expect(" %  ")
        t.expect("\r\x1b[K")
        t.expect("(60001 rows imported)")
        t.type(".quit\n")
        self.assertEqual(t.wait(), 0)
