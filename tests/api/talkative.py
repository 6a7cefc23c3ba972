"""Talkative: the command with everything logged that any library has to say, as somebody does who looks for a fault."""

from __future__ import annotations

import logging
import sys

import structlog

from anabranch.cli import main

if __name__ == "__main__":
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    filtering = structlog.make_filtering_bound_logger
    structlog.make_filtering_bound_logger = lambda min_level: filtering(logging.DEBUG)
    main()
