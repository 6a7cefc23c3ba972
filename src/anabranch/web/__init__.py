"""The page: what a person sees in a browser. It knows nothing that the public API does not tell."""
