"""Reading of the inbox: new and settled files, their rows, and the days that they touch."""
