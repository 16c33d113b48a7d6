"""pgbudget."""
