"""Is what may happen ruled as it is written?"""
