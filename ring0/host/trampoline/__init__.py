"""Whole calls in C, and their build: see calls.h. Where it is not built, the host does without."""
