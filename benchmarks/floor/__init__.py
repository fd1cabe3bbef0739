"""What does one job cost on top of the model, in this system, in a bare loop and in others?"""
