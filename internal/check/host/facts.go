package host

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"muster/internal/check"
)

// Facts tells what is known of the machine and rarely changes. An error says what is missing; the rest
// is told all the same. Nothing is asked of any other machine.
func (h *Host) Facts(ctx context.Context) (check.Facts, error) {
	facts := check.Facts{Facts: map[string]string{}}
	set := func(key, value string) {
		if value = strings.TrimSpace(value); value != "" {
			facts.Facts[key] = value
		}
	}
	name, err := os.Hostname()
	facts.Hostname = name
	set("host.name", name)
	set("host.arch", otelArch(runtime.GOARCH))
	set("os.type", runtime.GOOS)
	set("system.cpu.logical.count", strconv.Itoa(runtime.NumCPU()))
	addresses, err2 := h.addresses()
	facts.Addresses = addresses
	h.platformFacts(ctx, set, &facts)
	if err == nil {
		err = err2
	}
	if err != nil {
		err = fmt.Errorf("host: facts: %w", err)
	}
	return facts, err
}

// otelArch gives OpenTelemetry's name of a processor architecture.
func otelArch(arch string) string {
	switch arch {
	case "386":
		return "x86"
	case "arm":
		return "arm32"
	}
	return arch
}

// addresses lists the addresses others may reach the machine by: those of the interface that leads out
// first, IPv4 before IPv6, public before private.
func (h *Host) addresses() ([]string, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	type ranked struct {
		addr netip.Addr
		rank int
	}
	var list []ranked
	out := h.defaultInterface()
	for _, one := range interfaces {
		if one.Flags&net.FlagUp == 0 || one.Flags&net.FlagLoopback != 0 || innerInterface(one.Name) {
			continue
		}
		addrs, err := one.Addrs()
		if err != nil {
			continue // it has gone since it was listed
		}
		for _, a := range addrs {
			prefix, err := netip.ParsePrefix(a.String())
			if err != nil || !prefix.Addr().IsGlobalUnicast() {
				continue
			}
			addr := prefix.Addr().Unmap()
			list = append(list, ranked{addr, rank(addr, one.Name == out)})
		}
	}
	slices.SortStableFunc(list, func(a, b ranked) int { return a.rank - b.rank })
	texts := make([]string, len(list))
	for i, r := range list {
		texts[i] = r.addr.String()
	}
	return slices.Compact(texts), nil
}

func rank(addr netip.Addr, leadsOut bool) (r int) {
	if !leadsOut {
		r += 4
	}
	if addr.Is6() {
		r += 2
	}
	if addr.IsPrivate() {
		r++
	}
	return r
}

// innerInterface says whether an interface is of the machine's inside; a host of containers has such by
// the hundred.
func innerInterface(name string) bool {
	if name == "lo" {
		return true
	}
	for _, prefix := range []string{"veth", "cali", "lxc", "ifb", "dummy", "tunl", "nodelocaldns", "kube-ipvs", "docker", "br-", "cni", "flannel"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
