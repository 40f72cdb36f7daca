"""Other ways to make trips of positions, each a script for a virtual environment of its own; run by `segmentation`.

Nothing here is imported by the product, and nothing here imports it.
"""
