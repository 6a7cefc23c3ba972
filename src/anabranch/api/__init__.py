"""API: the server's routes. Tasks, media, uploads, outputs, events, webhooks, streams, search."""
