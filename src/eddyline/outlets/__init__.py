"""Ways out: what a store knows, in the words of other systems. Prometheus, webhooks, OpenLineage, MLflow."""
