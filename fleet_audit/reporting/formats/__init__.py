"""A document or a grid as bytes: XLSX, HTML, PDF, CSV, Markdown."""
