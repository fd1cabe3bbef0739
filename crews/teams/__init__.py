"""What was declared: a team's YAML files, as values or as problems with a place."""
