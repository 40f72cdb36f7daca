"""The telemetry API: requests, archived pages and answered windows; the positions of a day from pages and files."""
