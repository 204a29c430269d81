"""Compiler calls inside a recorded run: each is kept as a run of its own, and answered as one."""
