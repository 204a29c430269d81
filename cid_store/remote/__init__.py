"""Stores kept by a service: S3, Google Cloud, Azure, a folder, or read-only any web server.

The form is fixed in docs/formats/remote.md. The extra `redoxa[remote]` brings the client.
"""

from cid_store.remote.cached import CachedStore
from cid_store.remote.remote import RemoteStore
from cid_store.remote.transfer import Moved, pull, push

__all__ = ["CachedStore", "Moved", "RemoteStore", "pull", "push"]
