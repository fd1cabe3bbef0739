"""Does a report say what the rows say?"""
