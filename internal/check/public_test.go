package check_test

import (
	"errors"
	"net/netip"
	"testing"

	"muster"
	"muster/internal/check"
)

func TestPublicOnly(t *testing.T) {
	for _, text := range []string{"1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1", "168.63.129.17",
		"2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2620:4f:8000::1"} {
		if err := check.PublicOnly(netip.MustParseAddr(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.0.1", "168.63.129.16", "169.254.169.254",
		"172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1",
		"224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::8.8.8.8",
		"100::1", "2001::1", "2001:0:7f00:1::", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1", "3fff::1", "4000::1", "5f00::1",
		"fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2606:4700::1111%eth0",
	} {
		if err := check.PublicOnly(netip.MustParseAddr(text)); !errors.Is(err, muster.ErrDenied) || muster.Words(err) == "" {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := check.PublicOnly(netip.Addr{}); !errors.Is(err, muster.ErrDenied) {
		t.Errorf("no address: %v", err)
	}
}

// FuzzPublicOnly writes each IPv4 address in the forms that lead to it: none is taken where the plain one is refused.
func FuzzPublicOnly(f *testing.F) {
	f.Add(uint32(0x7f000001))
	f.Add(uint32(0x08080808))
	f.Fuzz(func(t *testing.T, v uint32) {
		b := [4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}
		plain := check.PublicOnly(netip.AddrFrom4(b))
		nat, mapped := netip.MustParseAddr("64:ff9b::").As16(), netip.MustParseAddr("::ffff:0:0").As16()
		copy(nat[12:], b[:])
		copy(mapped[12:], b[:])
		for _, form := range []netip.Addr{netip.AddrFrom16(nat), netip.AddrFrom16(mapped)} {
			if (check.PublicOnly(form) == nil) != (plain == nil) {
				t.Errorf("%s and %s are not judged alike: %v", netip.AddrFrom4(b), form, plain)
			}
		}
		tunnel := netip.AddrFrom16([16]byte{0x20, 0x02, b[0], b[1], b[2], b[3], 15: 1})
		if check.PublicOnly(tunnel) == nil {
			t.Errorf("%s is taken", tunnel)
		}
	})
}
