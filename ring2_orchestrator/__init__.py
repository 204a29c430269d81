"""Policy: genes, plans, recorded runs, the shadow ledger, and the commands."""
