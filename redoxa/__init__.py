"""The public face: what `import redoxa` offers is what the README uses."""
