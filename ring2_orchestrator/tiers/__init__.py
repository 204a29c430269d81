"""Tiers: what is kept as a container or a frame alone, how it is rebuilt, and what is worth it."""
