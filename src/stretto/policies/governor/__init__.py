"""Who may send a request now, so that a provider is used at its full permitted rate and hardly ever refuses.

Every request passes three gates: its workflow's, its key's (both configured), and its model's (what the provider tells
in headers, or what its refusals taught). Calls that share all three wait in one line.
"""
