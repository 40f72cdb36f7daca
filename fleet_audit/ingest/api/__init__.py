"""The telemetry API: what is asked for, archived and answered, and the positions of a day from its pages and files."""
