"""What a deployment of many gateways costs and where it ends: a model of measured figures, and leases simulated."""
