"""What an operator hands out: policy, certificates, settings, logs."""
