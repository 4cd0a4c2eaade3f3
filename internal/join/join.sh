#!/bin/sh
# Fetches muster-agent from {{.Server}}, checks it, and lets this machine join:
# the agent is installed as a service of systemd or runit; it dials out and never listens.
# To only run it here:   ... | sh -s -- --foreground
# Other flags go to the agent as they are: --hostname NAME, --period 10s, --state DIR.
set -eu

server='{{.Server}}'
token='{{.Token}}'
pin='{{.Pin}}'
available='{{.Available}}'

say() { printf '%s\n' "muster: $*"; }
die() {
    printf '%s\n' "muster: $*" >&2
    exit 1
}

# expected prints the SHA-256 of the agent for a target; nothing when there is none.
expected() {
    case $1 in
{{- range .Agents}}
        {{.Target}}) echo {{.Sum}} ;;
{{- end}}
        *) ;;
    esac
}

# target finds out what this machine runs, in Go's words.
target() {
    case $(uname -s) in
        Linux) os=linux ;;
        Darwin) os=darwin ;;
        FreeBSD) os=freebsd ;;
        *) die "there is no agent for $(uname -s)" ;;
    esac
    case $(uname -m) in
        x86_64 | amd64) arch=amd64 ;;
        aarch64 | arm64) arch=arm64 ;;
        armv[5678]* | arm) arch=arm ;;
        i?86 | x86) arch=386 ;;
        riscv64) arch=riscv64 ;;
        ppc64le) arch=ppc64le ;;
        s390x) arch=s390x ;;
        loongarch64) arch=loong64 ;;
        *) die "there is no agent for a processor of kind $(uname -m)" ;;
    esac
    # A 32-bit system on a 64-bit kernel needs the 32-bit agent.
    if [ "$(getconf LONG_BIT 2>/dev/null || echo 64)" = 32 ]; then
        case $arch in
            amd64) arch=386 ;;
            arm64) arch=arm ;;
            *) ;;
        esac
    fi
}

# fetch downloads $1 to the file $2. What arrives is checked by its SHA-256, which stands above; so a
# certificate that the server signed itself need not be trusted for this.
fetch() {
    if command -v curl >/dev/null 2>&1; then
        if [ -n "$pin" ]; then curl -fsSk -o "$2" "$1"; else curl -fsS -o "$2" "$1"; fi
    elif command -v wget >/dev/null 2>&1; then
        if [ -n "$pin" ]; then wget -q --no-check-certificate -O "$2" "$1"; else wget -q -O "$2" "$1"; fi
    else
        die "this needs curl or wget"
    fi
}

sum() {
    if command -v sha256sum >/dev/null 2>&1; then
        sha256sum "$1" | cut -d' ' -f1
    elif command -v shasum >/dev/null 2>&1; then
        shasum -a 256 "$1" | cut -d' ' -f1
    elif command -v openssl >/dev/null 2>&1; then
        openssl dgst -sha256 "$1" | sed 's/.*= *//'
    else
        die "this needs sha256sum, shasum or openssl to check what it downloads"
    fi
}

# download puts the checked agent into $dir. It does not use /tmp, where programs often may not run.
download() {
    target
    want=$(expected "$os-$arch")
    [ -n "$want" ] || die "this server has no agent for $os-$arch; it has: ${available:-none}"
    say "downloading muster-agent for $os-$arch"
    mkdir -p "$dir"
    rm -f "$dir/muster-agent.new"
    fetch "$server{{.Download}}/muster-agent-$os-$arch" "$dir/muster-agent.new" || die "can't download the agent from $server"
    got=$(sum "$dir/muster-agent.new")
    if [ "$got" != "$want" ]; then
        rm -f "$dir/muster-agent.new"
        die "the download is damaged: its SHA-256 is $got, not $want"
    fi
    say "checksum is right: $want"
    chmod 0755 "$dir/muster-agent.new"
    mv -f "$dir/muster-agent.new" "$dir/muster-agent"
}

main() {
{{- if .Refused}}
    die "{{.Refused}}; make a new one on $server"
{{- else}}
    verb=install
    for flag in "$@"; do
        case $flag in
            --foreground | -foreground) verb=run ;;
            *) ;;
        esac
    done
    root=no
    if [ "$(id -u)" = 0 ]; then root=yes; fi
    if [ $verb = install ] && [ $root = no ]; then
        die "installing a service needs root: put sudo before sh, or run the agent here with: sh -s -- --foreground"
    fi
    if [ $root = yes ]; then dir=/var/cache/muster-agent; else dir=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/muster-agent; fi
    dir=${MUSTER_AGENT_DIR:-$dir}
    umask 022
    download
    if [ -n "$pin" ]; then set -- --pin "$pin" "$@"; fi
    set -- $verb --server "$server" --token "$token" "$@"
    if [ $verb = run ]; then exec "$dir/muster-agent" "$@"; fi
    "$dir/muster-agent" "$@" || exit
    rm -f "$dir/muster-agent"
    say "this machine is on $server now"
{{- end}}
}

# Nothing above has run yet: a download that broke off does nothing.
main "$@"
