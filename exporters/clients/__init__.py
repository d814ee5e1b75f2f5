"""What collectors ask over the network with: one HTTPS client with deadlines, and tokens from files."""
