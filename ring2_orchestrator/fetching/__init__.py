"""Loading over HTTP as a probe does: conditional, resumed, bounded, cached and entered."""
