"""How does a team run? The only package that imports crewai and anthropic."""
