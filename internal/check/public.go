package check

import (
	"fmt"
	"net/netip"

	"muster"
)

// PublicOnly is an Env.Allow for zones that several accounts share: it refuses every address that is
// not one of the public internet, however it is written: loopback, private, link-local (where clouds
// keep their metadata), shared by carriers, multicast, reserved, and forms of IPv6 that hold such an
// IPv4 address. The error wraps muster.ErrDenied.
func PublicOnly(addr netip.Addr) error {
	if why := notPublic(addr); why != "" {
		return fmt.Errorf("check: allow: %w: %s is %s; only public addresses may be reached from here", muster.ErrDenied, addr, why)
	}
	return nil
}

// block is a range of addresses and what it is.
type block struct {
	prefix netip.Prefix
	what   string
}

// closed4 lists what of IPv4 is not the public internet: IANA's special-purpose registry, multicast, and
// the one public address at which a cloud serves its machines alone.
var closed4 = [...]block{
	{netip.MustParsePrefix("0.0.0.0/8"), "this machine itself"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), "shared by carriers"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("168.63.129.16/32"), "a cloud's own"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private"},
	{netip.MustParsePrefix("192.0.0.0/24"), "reserved"},
	{netip.MustParsePrefix("192.0.2.0/24"), "for documentation"},
	{netip.MustParsePrefix("192.88.99.0/24"), "a 6to4 relay"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private"},
	{netip.MustParsePrefix("198.18.0.0/15"), "for benchmarks"},
	{netip.MustParsePrefix("198.51.100.0/24"), "for documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "for documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},
}

// closed6 does the same within 2000::/3, the only part of IPv6 that is given out; the rest is closed as a whole.
var closed6 = [...]block{
	{netip.MustParsePrefix("2001::/23"), "a tunnel or reserved"}, // Teredo, ORCHID, benchmarks
	{netip.MustParsePrefix("2001:db8::/32"), "for documentation"},
	{netip.MustParsePrefix("2002::/16"), "a 6to4 tunnel"},
	{netip.MustParsePrefix("3fff::/20"), "for documentation"},
}

// notPublic says what an address is that is not public; "" when it is.
func notPublic(addr netip.Addr) string {
	if !addr.IsValid() {
		return "no address"
	}
	if addr.Zone() != "" {
		return "link-local"
	}
	addr = addr.Unmap()
	if addr.Is4() {
		return within(closed4[:], addr)
	}
	raw := addr.As16()
	if netip.MustParsePrefix("64:ff9b::/96").Contains(addr) { // NAT64: the IPv4 address is reached
		if why := within(closed4[:], netip.AddrFrom4([4]byte(raw[12:]))); why != "" {
			return why + " behind NAT64"
		}
		return ""
	}
	switch {
	case addr.IsLoopback():
		return "loopback"
	case addr.IsMulticast():
		return "multicast"
	case addr.IsLinkLocalUnicast():
		return "link-local"
	case addr.IsPrivate():
		return "private"
	case raw[0]>>5 != 1: // not 2000::/3
		return "reserved"
	}
	return within(closed6[:], addr)
}

func within(blocks []block, addr netip.Addr) string {
	for i := range blocks {
		if blocks[i].prefix.Contains(addr) {
			return blocks[i].what
		}
	}
	return ""
}
