"""`pytest --redoxa`: each test file is a recorded run of its own, skipped while nothing changed."""
