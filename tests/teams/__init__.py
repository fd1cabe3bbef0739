"""Tests of crews.teams."""
