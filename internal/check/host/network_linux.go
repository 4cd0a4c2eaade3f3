package host

import (
	"bytes"
	"os"

	"muster"
	"muster/internal/check"
)

// networks measures what /proc/net/dev has of interfaces that lead out of the machine, once they have
// carried anything.
type networks struct {
	dev   *procFile
	known map[string]*network // nil for an interface that is not measured
}

// network is one interface's metrics, receiving and transmitting.
type network struct {
	bytes, packets, errors, dropped [2]*muster.Metric
	used                            bool
}

func newNetworks(dev *procFile) *networks {
	return &networks{dev: dev, known: map[string]*network{}}
}

func newNetwork(name string) *network {
	n := new(network)
	for i, direction := range []string{"receive", "transmit"} {
		attrs := []string{"network.interface.name", name, "network.io.direction", direction}
		n.bytes[i] = check.Counter("system.network.io", "By", attrs...)
		n.packets[i] = check.Counter("system.network.packet.count", "{packet}", attrs...)
		n.errors[i] = check.Counter("system.network.errors", "{error}", attrs...)
		n.dropped[i] = check.Counter("system.network.packet.dropped", "{packet}", attrs...)
	}
	return n
}

func (n *networks) collect(s *check.Sample) error {
	content, err := n.dev.read()
	if os.IsNotExist(err) {
		return nil
	}
	content.line() // two lines of titles
	content.line()
	measured := 0
	for {
		line, ok := content.line()
		if !ok || measured == maxDevices {
			return err
		}
		colon := bytes.LastIndexByte(line, ':')
		if colon < 0 {
			continue
		}
		name := line[:colon]
		name = name.word()
		line = line[colon+1:]
		one, known := n.known[string(name)]
		if !known {
			one = n.meet(string(name))
		}
		if one != nil && one.put(s, line) {
			measured++
		}
	}
}

func (n *networks) meet(name string) *network {
	var one *network
	if !innerInterface(name) {
		one = newNetwork(name)
	}
	if len(n.known) > 16*maxDevices {
		clear(n.known)
	}
	n.known[name] = one
	return one
}

// put reads the numbers of a line after the colon: eight of receiving, eight of transmitting.
func (n *network) put(s *check.Sample, line text) bool {
	var v [2][4]float64
	for i := range v {
		for k := range v[i] {
			v[i][k] = line.number()
		}
		line.skip(4)
		n.used = n.used || v[i][0] > 0
	}
	if !n.used {
		return false
	}
	for i := range v {
		s.Put(n.bytes[i], v[i][0])
		s.Put(n.packets[i], v[i][1])
		s.Put(n.errors[i], v[i][2])
		s.Put(n.dropped[i], v[i][3])
	}
	return true
}
