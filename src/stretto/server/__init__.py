"""HTTP servers, each a thin door."""
