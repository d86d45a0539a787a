"""What people set most, in the operator's terms: one module per topic, each a typed input and its desired objects."""
