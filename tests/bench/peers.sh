#!/bin/sh
# Fetches what tests/bench/compare.sh measures Tidelock against, ZooKeeper and etcd as Debian
# ships them, and unpacks it into TIDELOCK_PEERS (build/peers). Needs no root and installs
# nothing: remove the directory, and all of it is gone. Only the Java that runs ZooKeeper
# must be on the machine.
set -eu
cd "$(dirname "$0")/../.."

dir=${TIDELOCK_PEERS:-${TIDELOCK_BUILD:-$PWD/build}/peers}
# ZooKeeper and the libraries that its server loads; the rest of what its package depends on
# is for tools and for its web page.
packages="etcd-server libzookeeper-java libslf4j-java libnetty-java libcommons-cli-java \
libcommons-io-java libsnappy-java libdropwizard-metrics-java libjackson2-core-java \
libjackson2-databind-java libjackson2-annotations-java"

command -v java >/dev/null || {
    echo "peers.sh: ZooKeeper needs Java; as root: apt-get install default-jre-headless" >&2
    exit 1
}
mkdir -p "$dir/packages"
cd "$dir/packages"
# shellcheck disable=SC2086  # a list of words
apt-get download $packages 2>"$dir/apt.log" || {
    cat "$dir/apt.log" >&2
    echo "peers.sh: the packages could not be fetched; as root, try: apt-get update" >&2
    exit 1
}
for package in *.deb; do
    dpkg-deb -x "$package" "$dir"
done
rm -r "$dir/packages" "$dir/apt.log"
echo "the peers are in $dir"
