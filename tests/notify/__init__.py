"""Does a notice get to those who are to hear of it, and to nobody else?"""
