"""What diagnostics measure and share: requests, losses, streams, the underlay."""
