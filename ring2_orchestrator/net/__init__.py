"""HTTP for Redoxa: whom it may ask, what it may keep of that, and a proxy that records."""
