"""What does a whole run look like, from the goal to the changed folder?"""
