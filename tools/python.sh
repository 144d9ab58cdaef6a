# The Python that the gateway is installed with: `sh tools/python.sh` prints it. With one that was built without its
# optimisations a request costs a sixth more, a quarter on a busy machine. So `python3` is taken if it was built with
# them, or else the system's, for which distributions do that though its configuration does not say so. Where that will
# not do, `python3` it is.
#
# Other ones to choose from may be given: first the one that is preferred, then the system's.

preferred=${1:-python3}
system=${2:-/usr/bin/python3}

will_do() {
    "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

says_optimised() {
    "$1" -c 'import sys, sysconfig
sys.exit("--enable-optimizations" not in (sysconfig.get_config_var("CONFIG_ARGS") or ""))' 2>/dev/null
}

if will_do "$preferred" && says_optimised "$preferred"; then
    echo "$preferred"
elif will_do "$system"; then
    echo "$system"
else
    echo "$preferred"
fi
