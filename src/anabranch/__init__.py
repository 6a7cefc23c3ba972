"""Anabranch: one upload fans out into HLS, poster, GIF and transcript, and rejoins in one media record."""
