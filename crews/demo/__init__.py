"""What does a newcomer see first?"""
