"""Symptoms: what the pods notice."""
