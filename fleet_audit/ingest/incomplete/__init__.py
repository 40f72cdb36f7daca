"""What is missing by our own fault: days, files and vehicles whose rows were refused."""
