"""What answers calls: chat-completions endpoints and the simulator."""
