"""Bytes to accepted rows, rejected rows and notes."""
