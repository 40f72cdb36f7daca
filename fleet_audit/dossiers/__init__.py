"""One finding, trip or billing line with everything that proves it, read from the stores: dossiers and explanations.

The documents' content is in `reporting.documents`.
"""
