"""What could be typed next, from the command line's own parsers; three shells ask for it."""
