"""Text and workbook files to tables of text: encodings, separators, headers, page breaks, rows that do not fit."""
