"""A process that lives with a build and keeps what its compilers did: see docs/wrappers.md."""
