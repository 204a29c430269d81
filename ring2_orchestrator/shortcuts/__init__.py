"""Shortcuts: what `redoxa-run` needs to answer a reuse without Python."""
