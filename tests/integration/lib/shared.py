"""Data for trying things on real tables, where it is there: it is no part of the project."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[3]


def find_shared(name):
    """A file of ../shared (or of SHOAL_SHARED); None if it is not there."""
    places = [pathlib.Path(os.environ["SHOAL_SHARED"])] if "SHOAL_SHARED" in os.environ else \
        [parent / "shared" for parent in list(ROOT.parents)[:2]]
    return next((place / name for place in places if (place / name).exists()), None)
