"""Styles: what the media page's policy lets in beside the page's own files.

media-chrome writes a `<style>` into the shadow root of each of its elements. Their texts are part of its release, so
the policy names each by its hash. A test reads them in a browser and says which are missing or no longer needed.
"""

from __future__ import annotations

HASHES: tuple[str, ...] = ()

POLICY = {"style-src": " ".join(["'self'", *(f"'sha256-{one}'" for one in HASHES)])}
