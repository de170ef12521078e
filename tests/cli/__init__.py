"""The shell face, tested as its users see it: command lines in, text and exit codes out."""
