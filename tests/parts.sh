# For a shell that runs one thing after another: `part NAME COMMAND…` runs a command, ends the shell with it if it fails,
# and says at the shell's end how long each part took.

took=

part() {
    name=$1
    shift
    begin=$(date +%s)
    if "$@"; then result=; else result=' failed'; fi
    seconds=$(($(date +%s) - begin))
    took="$took$(printf '%3d min %2d s  %s%s' $((seconds / 60)) $((seconds % 60)) "$name" "$result")
"
    [ -z "$result" ] || exit 1
}

trap 'printf "\n%s" "$took"' EXIT
