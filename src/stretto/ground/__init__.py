"""Small things that know nothing of models or runs."""
