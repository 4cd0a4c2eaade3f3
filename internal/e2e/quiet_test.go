package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestNoOutboundConnection runs a server without any configuration in a network namespace of its own whose
// only way out is a device that counts (its other end lies in the same namespace): in its first seconds, with its own agent and a login, nothing leaves.
func TestNoOutboundConnection(t *testing.T) {
	_, errIP := exec.LookPath("ip")
	_, errUnshare := exec.LookPath("unshare")
	require(t, os.Geteuid() == 0 && errIP == nil && errUnshare == nil, "root, ip and unshare, to make a network namespace")
	const prepare = `ip link set lo up && ip link add out0 type veth peer name out1 &&
for d in out0 out1; do sysctl -qw net.ipv6.conf.$d.disable_ipv6=1 >/dev/null 2>&1 || true; done
ip addr add 192.0.2.2/24 dev out0 && ip link set out1 up && ip link set out0 up &&
ip neigh add 192.0.2.1 lladdr 02:00:00:00:00:01 dev out0 && ip route add default via 192.0.2.1 && exec "$@"`
	cmd := exec.Command("unshare", "-n", "sh", "-c", prepare, "sh", binary(t, "muster"), "serve", "--data", t.TempDir())
	out := run(t, cmd)
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line := out.wait(t, 20*time.Second, "http://127.0.0.1:")
	if !strings.Contains(line, "login") {
		t.Errorf("the line offers no login: %s", line)
	}
	inside := func(args ...string) ([]byte, error) {
		return exec.Command("nsenter", append([]string{"-n", "-t", strconv.Itoa(cmd.Process.Pid)}, args...)...).CombinedOutput()
	}
	link := line[strings.Index(line, "http://"):]
	if text, err := inside("curl", "-sSf", "-L", "-c", "/dev/null", strings.Fields(link)[0]); err != nil {
		t.Fatalf("open the page: %v\n%s", err, text)
	}
	time.Sleep(5 * time.Second)
	if n := sentOut(t, cmd.Process.Pid); n != 0 {
		t.Errorf("%d packets left the machine; printed:\n%s", n, out.all())
	}
	// The counter must be able to count.
	if text, err := inside("bash", "-c", "echo > /dev/udp/198.51.100.1/9"); err != nil {
		t.Fatalf("send one: %v %s", err, text)
	}
	if sentOut(t, cmd.Process.Pid) == 0 {
		t.Error("a packet that was sent is not counted: the test proves nothing")
	}
}

// sentOut reads how many packets the namespace of the process has sent through out0.
func sentOut(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/dev", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "out0:"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[9])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("there is no out0")
	return 0
}
