"""Measurements that diagnostics share: requests, losses, streams, the underlay."""
