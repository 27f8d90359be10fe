"""Chunked, sharded, resumable execution."""
