"""Estimates over recorded runs, and the next action. A wrong guess costs time, never a result."""
