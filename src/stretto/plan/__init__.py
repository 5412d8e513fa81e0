"""The plan: what is asked for, how its text is read, and which subtasks it amounts to."""
