"""XLSX bytes to rows of text cells: archive guards, choice of sheets, cell values."""
