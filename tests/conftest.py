"""Lets the tests import the script, and keeps its windows closed while they run."""

import os
import sys
from pathlib import Path

os.environ["MPLBACKEND"] = "agg"
sys.path.insert(0, str(Path(__file__).parents[1]))
