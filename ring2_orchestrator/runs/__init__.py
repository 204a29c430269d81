"""Recorded runs: what a command depended on, what it made, and when that may be used again."""
