"""Rules of a whole cycle, one module per family, and their inputs."""
