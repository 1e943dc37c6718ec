#!/bin/bash
# Runs one test script in an empty folder: run_script_test.sh FOLDER SCRIPT PROGRAM
# The folder stays when the script fails, so that its files can be read.
set -eu
folder=$1
script=$2
program=$3
rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"
status=0
bash "$script" "$program" || status=$?
if [ "$status" -eq 0 ] || [ "$status" -eq 77 ]; then rm -rf "$folder"; fi
exit "$status"
