"""How long a search over 10,000 transcripts takes. Run: python benchmarks/search.py [ADDRESS OF AN EMPTY DATABASE]

Each transcript has 800 words in 100 segments, drawn by Zipf's law from a made-up vocabulary of 30,000 words: nearly
every transcript has the commonest ones, and one in hundreds the rare ones.
"""

from __future__ import annotations

import itertools
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from anabranch import migrations
from anabranch.catalog import transcripts
from anabranch.database import open_database

if TYPE_CHECKING:
    import sqlalchemy as sa

TRANSCRIPTS = 10_000
SEGMENTS, WORDS = 100, 8
VOCABULARY = 30_000
SYLLABLES = ["ka", "lo", "mi", "ne", "ru", "ta", "so", "vi", "da", "pe"]
ROUNDS = 200


def main() -> None:
    random.seed(1)
    words = ["".join(SYLLABLES[int(digit)] for digit in str(number)) for number in range(1000, 1000 + VOCABULARY)]
    weights = list(itertools.accumulate(1 / rank for rank in range(1, VOCABULARY + 1)))
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(sys.argv[1] if sys.argv[1:] else f"sqlite:///{Path(folder) / 'a.db'}")
        migrations.upgrade(database)
        started = time.perf_counter()
        for number in range(TRANSCRIPTS):
            said = random.choices(words, cum_weights=weights, k=SEGMENTS * WORDS)
            segments = [
                (place * 3.0, place * 3.0 + 3.0, " ".join(said[place * WORDS : place * WORDS + WORDS]))
                for place in range(SEGMENTS)
            ]
            transcripts.put(database, f"task_{number}", f"med_{number}", "en", segments)
        took_s = time.perf_counter() - started
        print(f"{TRANSCRIPTS:,} transcripts of {SEGMENTS * WORDS} words entered in {took_s:.0f} s")
        kinds = {
            "rare word": [words[random.randrange(5000, VOCABULARY)] for _ in range(ROUNDS)],
            "middling word": [words[random.randrange(100, 1000)] for _ in range(ROUNDS)],
            "commonest words": [words[random.randrange(0, 10)] for _ in range(ROUNDS)],
            "two words": [f"{words[random.randrange(50)]} {words[random.randrange(2000)]}" for _ in range(ROUNDS)],
            "phrase": [f'"{words[random.randrange(20)]} {words[random.randrange(20)]}"' for _ in range(ROUNDS)],
            "prefix": [f"{words[random.randrange(2000)][: random.randint(1, 7)]}*" for _ in range(ROUNDS)],
        }
        for kind, queries in kinds.items():
            print_times(database, kind, queries)
        database.dispose()


def print_times(database: sa.Engine, kind: str, queries: list[str]) -> None:
    times, hits = [], []
    for query in queries:
        started = time.perf_counter()
        found = transcripts.search(database, query)
        times.append((time.perf_counter() - started) * 1000)
        hits.append(found.total)
    p99 = statistics.quantiles(times, n=100)[98]
    print(
        f"{kind:16} median {statistics.median(times):6.1f} ms   p99 {p99:6.1f} ms   "
        f"median hits {statistics.median(hits):,.0f}"
    )


if __name__ == "__main__":
    main()
