"""Reuse in another folder: what one clone of a project recorded, put to use in another."""
