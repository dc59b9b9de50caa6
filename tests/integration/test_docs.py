"""Pages that say what programs do still say it."""

import re
import subprocess
import unittest

from lib.cluster import ROOT, build_dir


class Pages(unittest.TestCase):
    def test_configuration(self):
        done = subprocess.run([str(ROOT / "tools" / "configuration-docs"), "--check", "--build", str(build_dir())],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_links_lead_somewhere(self):
        for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
                with self.subTest(f"{page.name}: {target}"):
                    self.assertTrue((page.parent / target).exists())
