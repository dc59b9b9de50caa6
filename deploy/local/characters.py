#!/usr/bin/python3
"""Prints the Unicode Character Database as CSV: code, character, name, category, block. From Debian's unicode-data."""

import bisect
import csv
import pathlib
import sys

DATA = pathlib.Path("/usr/share/unicode")


def read_blocks():
    """Starts and names of the blocks, in order."""
    starts, names = [], []
    for line in (DATA / "Blocks.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            codes, _, name = line.partition("; ")
            starts.append(int(codes.split("..")[0], 16))
            names.append(name)
    return starts, names


def main():
    starts, names = read_blocks()
    out = csv.writer(sys.stdout, lineterminator="\n")
    sys.stdout.reconfigure(encoding="utf-8")
    for line in (DATA / "UnicodeData.txt").read_text(encoding="utf-8").splitlines():
        fields = line.split(";")
        code, name, category = int(fields[0], 16), fields[1], fields[2]
        if name == "<control>":
            name = fields[10] or name
        block = names[bisect.bisect(starts, code) - 1]
        # Controls would upset a terminal, and surrogates are no characters.
        out.writerow([code, "" if category in ("Cc", "Cs") else chr(code), name, category, block])


if __name__ == "__main__":
    main()
