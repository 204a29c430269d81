"""Bytes in, CID out; bytes back, checked. Knows no other ring."""
