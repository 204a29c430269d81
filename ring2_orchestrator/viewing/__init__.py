"""The local page of `redoxa view`: a server for one person's browser, and the files it serves.

It knows nothing of runs or stores: whoever starts it hands it answers by their paths.
"""
