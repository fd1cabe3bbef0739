"""What does the journal keep, and what does it refuse?"""
