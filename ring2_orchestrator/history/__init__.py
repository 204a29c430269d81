"""Histories: what a repository's scripts did over its commits, as rows to judge predictions by."""
