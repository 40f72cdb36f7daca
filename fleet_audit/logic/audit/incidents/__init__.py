"""What belongs together: findings with one root cause, their rows, and the money that counts once."""
