#!/bin/sh
# Installs muster-agent from {{.Server}} and lets this machine join.
# It runs as a service of systemd or runit, dials out and never listens.
# What else it can do:   ... | sh -s -- --help
set -eu

server='{{.Server}}'
token='{{.Token}}'
pin='{{.Pin}}'
curlpin='{{.CurlPin}}'
available='{{.Available}}'

bin=/usr/local/bin
state=/var/lib/muster-agent
foreground=no
hostname=
period=
tmp=

say() { printf '%s\n' "muster: $*"; }
die() {
    printf '%s\n' "muster: $*" >&2
    exit 1
}

usage() {
    cat <<'HELP'
Installs muster-agent on this machine and lets it join.

  --foreground       only download it and run it here; ctrl-C ends it
  --hostname NAME    the name to join by, instead of the machine's own
  --period TIME      how often to measure, such as 10s
  --bin DIR          where to install it (/usr/local/bin)
  --state DIR        where it keeps its identity (/var/lib/muster-agent)
  --uninstall        stop and remove the service and the program; its identity stays
HELP
}

# plain refuses what would need quoting in a unit file.
plain() {
    case $2 in
        '' | -* | *[!A-Za-z0-9._/:-]*) die "$1 must be letters, digits and . _ / : - only" ;;
    esac
}

# expected prints the SHA-256 of the agent for a target; nothing when there is none.
expected() {
    case $1 in
{{- range .Agents}}
        {{.Target}}) echo {{.Sum}} ;;
{{- end}}
    esac
}

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
    if [ "$arch" = amd64 ] && [ "$(getconf LONG_BIT 2>/dev/null || echo 64)" = 32 ]; then arch=386; fi
    if [ "$arch" = arm64 ] && [ "$(getconf LONG_BIT 2>/dev/null || echo 64)" = 32 ]; then arch=arm; fi
}

# fetch downloads $1 to the file $2. What arrives is checked by its hash, so a wget that can't pin a
# certificate is good enough for one that signed itself.
fetch() {
    if command -v curl >/dev/null 2>&1; then
        if [ -n "$curlpin" ]; then
            curl -fsSk --pinnedpubkey "sha256//$curlpin" -o "$2" "$1"
        else
            curl -fsS -o "$2" "$1"
        fi
    elif command -v wget >/dev/null 2>&1; then
        if [ -n "$curlpin" ]; then
            wget -q --no-check-certificate -O "$2" "$1"
        else
            wget -q -O "$2" "$1"
        fi
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

# download puts the checked agent into the directory $1.
download() {
    target
    want=$(expected "$os-$arch")
    [ -n "$want" ] || die "this server has no agent for $os-$arch; it has: ${available:-none}"
    say "downloading muster-agent for $os-$arch"
    tmp=$(mktemp -d)
    trap 'rm -rf "$tmp"' EXIT
    trap 'exit 1' HUP INT TERM
    fetch "$server{{.Download}}/muster-agent-$os-$arch" "$tmp/muster-agent" || die "can't download the agent from $server"
    got=$(sum "$tmp/muster-agent")
    [ "$got" = "$want" ] || die "the download is damaged: its SHA-256 is $got, not $want"
    say "checksum is right: $want"
    mkdir -p "$1"
    chmod 0755 "$tmp/muster-agent"
    cp "$tmp/muster-agent" "$1/muster-agent.new"
    chmod 0755 "$1/muster-agent.new"
    mv -f "$1/muster-agent.new" "$1/muster-agent"
    rm -rf "$tmp"
    trap - EXIT HUP INT TERM
}

# args prints the agent's flags; all values are free of white space and the shell's characters.
args() {
    printf '%s' "--server $server --state $state --token $token"
    if [ -n "$pin" ]; then printf ' --pin %s' "$pin"; fi
    if [ -n "$hostname" ]; then printf ' --hostname %s' "$hostname"; fi
    if [ -n "$period" ]; then printf ' --period %s' "$period"; fi
}

systemd() {
    umask 077 # the unit holds the token, until it is used
    cat >/etc/systemd/system/muster-agent.service <<UNIT
[Unit]
Description=Muster agent
Documentation=$server
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=$bin/muster-agent $(args)
Restart=always
RestartSec=5
StateDirectory=muster-agent
StateDirectoryMode=0700
NoNewPrivileges=yes
ProtectSystem=full
ProtectControlGroups=yes
ProtectKernelModules=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryMax=128M
OOMScoreAdjust=-100

[Install]
WantedBy=multi-user.target
UNIT
    systemctl daemon-reload
    systemctl enable --quiet muster-agent.service
    systemctl restart muster-agent.service
    sleep 2
    systemctl is-active --quiet muster-agent.service || {
        journalctl -u muster-agent.service -n 5 --no-pager -o cat >&2 || true
        die "the agent does not run; see: journalctl -u muster-agent"
    }
    say "muster-agent runs as a systemd service; see: systemctl status muster-agent"
}

runit() {
    umask 077
    mkdir -p /etc/sv/muster-agent/log /var/log/muster-agent
    cat >/etc/sv/muster-agent/run <<RUN
#!/bin/sh
exec 2>&1
exec $bin/muster-agent $(args)
RUN
    cat >/etc/sv/muster-agent/log/run <<'RUN'
#!/bin/sh
exec svlogd -tt /var/log/muster-agent
RUN
    chmod 0700 /etc/sv/muster-agent/run /etc/sv/muster-agent/log/run
    for services in /etc/service /var/service /service; do
        if [ -d "$services" ]; then
            [ -e "$services/muster-agent" ] || ln -s /etc/sv/muster-agent "$services/muster-agent"
            sleep 6 # runsvdir looks every five seconds
            sv restart muster-agent >/dev/null || die "the agent does not run; see /var/log/muster-agent/current"
            say "muster-agent runs as a runit service; see: sv status muster-agent"
            return
        fi
    done
    die "runit's directory of services was not found; link /etc/sv/muster-agent into it"
}

uninstall() {
    [ "$(id -u)" = 0 ] || die "removing needs root: put sudo before sh"
    if [ -e /etc/systemd/system/muster-agent.service ]; then
        systemctl disable --now --quiet muster-agent.service || true
        rm -f /etc/systemd/system/muster-agent.service
        systemctl daemon-reload
    fi
    if [ -d /etc/sv/muster-agent ]; then
        sv down muster-agent >/dev/null 2>&1 || true
        rm -rf /etc/service/muster-agent /var/service/muster-agent /service/muster-agent /etc/sv/muster-agent
    fi
    rm -f "$bin/muster-agent"
    say "removed; the identity in $state stays until you delete it"
}

main() {
    while [ $# -gt 0 ]; do
        case $1 in
            --foreground) foreground=yes ;;
            --hostname | --period | --bin | --state)
                [ $# -ge 2 ] || die "$1 needs a value"
                plain "$1" "$2"
                case $1 in
                    --hostname) hostname=$2 ;;
                    --period) period=$2 ;;
                    --bin) bin=$2 ;;
                    --state) state=$2 ;;
                esac
                shift
                ;;
            --uninstall)
                uninstall
                exit 0
                ;;
            -h | --help)
                usage
                exit 0
                ;;
            *) die "what is $1? See: sh -s -- --help" ;;
        esac
        shift
    done
{{- if .Refused}}
    die "{{.Refused}}; make a new one on $server"
{{- else}}
    if [ "$foreground" = yes ]; then
        if [ "$(id -u)" != 0 ] && [ "$state" = /var/lib/muster-agent ]; then
            state=${XDG_STATE_HOME:-$HOME/.local/state}/muster-agent
        fi
        download "$state"
        say "running; ctrl-C ends it"
        set -- --server "$server" --state "$state" --token "$token"
        [ -z "$pin" ] || set -- "$@" --pin "$pin"
        [ -z "$hostname" ] || set -- "$@" --hostname "$hostname"
        [ -z "$period" ] || set -- "$@" --period "$period"
        exec "$state/muster-agent" "$@"
    fi
    [ "$(id -u)" = 0 ] || die "installing a service needs root: put sudo before sh, or run it with: sh -s -- --foreground"
    if [ -d /run/systemd/system ]; then
        download "$bin"
        systemd
    elif command -v sv >/dev/null 2>&1 && command -v runsvdir >/dev/null 2>&1; then
        download "$bin"
        mkdir -p "$state"
        chmod 0700 "$state"
        runit
    else
        die "neither systemd nor runit was found; let your own supervisor run: sh -s -- --foreground"
    fi
    say "this machine is on $server now"
{{- end}}
}

# Nothing above has run yet: a download that broke off does nothing.
main "$@"
