"""Runs a program and writes down every file, process and socket it touches."""
