#!/usr/bin/env bash
# Prints the version in Cargo.toml, which is that of the image, the chart and the tag.
sed -n '/^\[package\]/,/^version/s/^version = "\(.*\)"/\1/p' "$(dirname "${BASH_SOURCE[0]}")/../Cargo.toml"
