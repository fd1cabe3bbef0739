"""How do the parts of the runtime behave on their own?"""
