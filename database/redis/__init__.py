"""Redis as one server, as a cluster, or as a primary that Sentinel appoints."""
