"""The machine: kernels hosted, bounded, executed; frames kept."""
