"""Media: probing, ladders, chunks, encoding, packaging, speech. Knows nothing of the engine or the database."""
