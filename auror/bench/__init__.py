"""The defence and its attackers measured; rules to compare with."""
