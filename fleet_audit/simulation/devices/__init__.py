"""What the simulated telematics devices send: motion, honest defects, tampering, transmission."""
