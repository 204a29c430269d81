"""Estimates that learn run by run: rules, regressions, mixtures, intervals. No clock, no disk."""
