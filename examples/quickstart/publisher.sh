#!/bin/sh
# publisher.sh -- stores version 1, 2, 3, ... of a configuration: "setting 1" and so on.
#
#     TIDELOCK_SERVERS=host:port,... sh publisher.sh PATH FOLDER
#
# It goes on until the file FOLDER/stop is there, and prints each version that is stored.
# --version names the one that it replaces, so what is asked again is not stored twice.
set -u
[ $# -eq 2 ] || { echo "usage: $0 PATH FOLDER" >&2; exit 2; }
path=$1 folder=$2

# is_stored VERSION: whether the version is ours
is_stored() {
    [ "$(tidelock config get --timeout 30000 --version "$1" "$path")" = "setting $1" ]
}

# The recipe keeps 20 versions, unless it is told otherwise.
keep=$(printf '{"path": "%s", "data": "setting 1", "version": 0, "keep": 400}' "$path")
tidelock call config.put "$keep" >/dev/null || exit 1
echo 1

version=1
until [ -e "$folder/stop" ]; do
    tidelock config put --timeout 30000 --version $version "$path" \
        "setting $((version + 1))" 2>"$folder/publisher.why"
    case $? in
    0) version=$((version + 1)) ;;
    3 | 7) ;; # no answer: the same once more
    *)
        version=$((version + 1)) # an earlier try was stored, though nobody told so
        is_stored "$version" || exit 1
        echo "$version"
        ;;
    esac
    sleep 0.05
done
