#!/bin/sh
# Installs what the tests need beyond Go: a browser for the pages' journeys, node for their scripts, runit
# for the agent's service, ip and unshare for network namespaces, curl and shellcheck for the pasted line, nginx,
# sshd and unbound for checks to look at. Where apt may not be used, it says what is missing; the tests then skip those parts aloud.
set -eu
need=""
command -v chromium >/dev/null 2>&1 || need="$need chromium"
command -v runsv >/dev/null 2>&1 || need="$need runit"
command -v ip >/dev/null 2>&1 || need="$need iproute2"
command -v unshare >/dev/null 2>&1 || need="$need util-linux"
command -v shellcheck >/dev/null 2>&1 || need="$need shellcheck"
command -v curl >/dev/null 2>&1 || need="$need curl"
command -v node >/dev/null 2>&1 || need="$need nodejs"
command -v npx >/dev/null 2>&1 || need="$need npm"
have() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }
have nginx || need="$need nginx-light"
have sshd || need="$need openssh-server"
have unbound || need="$need unbound"
[ -z "$need" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	# The tests start services of their own: Debian's are not to run because of them.
	if [ ! -e /usr/sbin/policy-rc.d ]; then
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT
		printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d
	fi
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $need >/dev/null && exit 0
fi
echo "missing for the full tests:$need (Debian: apt-get install$need); those parts will be skipped" >&2
[ "${MUSTER_REQUIRE:-}" != all ] || exit 1
