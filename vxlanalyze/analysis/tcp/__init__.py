"""TCP streams as each observation point saw them."""
