"""A recorded run as a bundle that can be run again elsewhere: docs/replay.md."""
