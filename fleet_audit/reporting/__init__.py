"""Frames to the documents that people receive."""
