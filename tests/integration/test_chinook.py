"""Questions over three to six tables of the Chinook store (chinook.sql), answered as sqlite3 answers them."""

import pathlib
import re
import unittest

from lib import Cluster, Oracle, assert_same
from lib.shared import find_shared

DUMP = find_shared("data/chinook-database__Chinook_Sqlite.sql")
QUESTIONS = pathlib.Path(__file__).with_name("chinook.sql")


def read_questions():
    """(title, SQL) of each."""
    text = QUESTIONS.read_text(encoding="utf-8").split("\n\n", 1)[1]
    return [(title, sql.strip().rstrip(";")) for title, sql in re.findall(r"^-- (.*)\n((?:(?!--).+\n?)+)", text, re.M)]


@unittest.skipUnless(DUMP, "Chinook's dump is not there")
class Chinook(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(tablets=2, shards=3).__enter__()
        cls.addClassCleanup(cls.cluster.close)
        done = cls.cluster.shoal(text=f".read {DUMP}\n")
        assert done.returncode == 0, done.stderr
        cls.client = cls.cluster.client()
        cls.oracle = Oracle()
        cls.addClassCleanup(cls.oracle.close)
        cls.oracle.db.executescript(DUMP.read_text(encoding="utf-8-sig"))

    def test_questions(self):
        questions = read_questions()
        self.assertGreaterEqual(len(questions), 40)
        for title, sql in questions:
            with self.subTest(title):
                assert_same(self.client, self.oracle, sql, label=title)

    def test_questions_have_answers(self):
        empty = [title for title, sql in read_questions() if not self.oracle.rows(sql)]
        self.assertEqual(empty, ["invoices whose lines do not add up to their total"])


if __name__ == "__main__":
    unittest.main()
