"""Generated from proto/auror/wire/v1 by scripts/gen_proto.py; do not edit."""
