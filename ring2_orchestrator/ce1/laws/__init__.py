"""The exact mathematics of CE1: measure, act, re-seed. Each law is a property in tests/ce1/laws."""
