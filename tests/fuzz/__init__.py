"""Fuzz: what nobody would send on purpose, and everything must survive. By numbers, so that it can be done again."""

from __future__ import annotations

import os

# How many times as much is tried as usual.
TIMES = int(os.environ.get("ANABRANCH_FUZZ", "1"))
