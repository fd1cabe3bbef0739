"""What happened? The only package that speaks SQL."""
