"""The harness itself: what it calls the same is the same, and what it does not is not."""

import unittest

from lib import Oracle, RawText, same_rows
from lib.client import decode_value, encode_value
from lib.oracle import has_order_by
from slt_conn import split_statements


class Comparing(unittest.TestCase):
    def test_rows(self):
        cases = [
            ("multiset", [(1,), (2,)], [(2,), (1,)], False, None, True),
            ("multiset counts", [(1,), (1,), (2,)], [(1,), (2,), (2,)], False, None, False),
            ("ordered", [(1,), (2,)], [(2,), (1,)], True, None, False),
            ("ties", [(1, "a"), (1, "b"), (2, "c")], [(1, "b"), (1, "a"), (2, "c")], True, [0], True),
            ("ties, another order", [(2, "c"), (1, "b")], [(1, "b"), (2, "c")], True, [0], False),
            ("ties, another row", [(1, "a"), (1, "b")], [(1, "a"), (1, "x")], True, [0], False),
            ("integer is not real", [(1,)], [(1.0,)], False, None, False),
            ("text is not blob", [("a",)], [(b"a",)], False, None, False),
            ("text is not raw text", [("a",)], [(RawText(b"a"),)], False, None, False),
            ("raw text is not blob", [(RawText(b"\xff"),)], [(b"\xff",)], False, None, False),
            ("null is not zero", [(None,)], [(0,)], False, None, False),
            ("last digit of a real", [(0.1 + 0.2,)], [(0.3,)], True, None, True),
            ("another real", [(0.3,)], [(0.30000000001,)], True, None, False),
            ("reals near each other, sorted apart", [(1.0000000005, 1), (1.0000000005000001, 2)],
             [(1.0000000005000001, 1), (1.0000000005, 2)], False, None, True),
            ("infinity", [(float("inf"),)], [(float("inf"),)], False, None, True),
            ("fewer columns", [(1,)], [(1, 2)], False, None, False),
        ]
        for label, got, want, ordered, ties, same in cases:
            with self.subTest(label):
                self.assertEqual(same_rows(got, want, ordered, ties), same)

    def test_order_by(self):
        for sql, ordered in [("SELECT 1 ORDER BY 1", True), ("SELECT (SELECT 1 ORDER BY 1)", False),
                             ("SELECT 'order by'", False), ("SELECT a -- order by\nFROM t", False),
                             ("SELECT ')', a FROM t Order\nBy a", True),
                             ("SELECT max(a) OVER (ORDER BY (b)) FROM t", False)]:
            with self.subTest(sql):
                self.assertEqual(has_order_by(sql), ordered)

    def test_values_round_trip(self):
        for value in (None, 0, -2**63, 2**63 - 1, 1.5, "", "ä", "a\0b", b"", b"\xff", RawText(b"\xff")):
            with self.subTest(repr(value)):
                back = decode_value(encode_value(value))
                self.assertEqual(back, value)
                self.assertIs(type(back), type(value))

    def test_oracle_has_values_like_the_client(self):
        with Oracle() as oracle:
            self.assertEqual(oracle.rows("SELECT 1, 1.0, 'a', x'00', NULL, CAST(x'ff' AS TEXT), CAST(x'610062' AS TEXT)"),
                             [(1, 1.0, "a", b"\0", None, RawText(b"\xff"), "a\0b")])

    def test_split(self):
        for sql, want in [("SELECT 1", ["SELECT 1"]), ("a; b;", ["a;", " b;"]), ("SELECT ';'; x", ["SELECT ';';", " x"]),
                          (" ;; ", []),
                          ("CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END; x",
                           ["CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END;", " x"])]:
            with self.subTest(sql):
                self.assertEqual(list(split_statements(sql)), want)
