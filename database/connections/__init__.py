"""What Django opens a database through: turns, deadlines, and the work before a commit."""
