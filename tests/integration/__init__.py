"""Against servers as people run them, installed and started for it."""
