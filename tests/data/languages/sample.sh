#!/bin/bash
# about
set -e
LIMIT=3
# Signs.
sign() {
  echo "$1"
}
function check { test -n "$1"; }
sign x
