"""Who is there?"""
