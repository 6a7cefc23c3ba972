"""Catalog: the rows that users see. Media, their tasks, and each attempt at a piece of a task."""
