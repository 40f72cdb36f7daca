"""Who may sign in: users with their passwords and grants, and tokens of the company's identity provider."""
