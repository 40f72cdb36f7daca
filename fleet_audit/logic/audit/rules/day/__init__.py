"""Rules of one operational day, one module per family, and their inputs."""
