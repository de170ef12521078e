"""What one application changes: several titles under one reference, and what is missing."""
