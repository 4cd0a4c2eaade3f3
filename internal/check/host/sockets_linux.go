package host

import (
	"errors"
	"os"

	"muster"
	"muster/internal/check"
)

// sockets counts connections from the kernel's own sums: walking all sockets is dear on a busy server.
type sockets struct {
	sockstat, snmp              *procFile
	established, timeWait, udp  *muster.Metric
	segmentsSent, retransmitted *muster.Metric
	waiting, udpInUse           float64
	current, segments, repeated float64
}

func newSockets(sockstat, snmp *procFile) *sockets {
	connections := func(attrs ...string) *muster.Metric {
		return check.Gauge("system.network.connection.count", "{connection}", attrs...)
	}
	return &sockets{
		sockstat: sockstat, snmp: snmp,
		established:   connections("network.connection.state", "established", "network.transport", "tcp"),
		timeWait:      connections("network.connection.state", "time_wait", "network.transport", "tcp"),
		udp:           connections("network.transport", "udp"),
		segmentsSent:  check.Counter("system.linux.tcp.segments.sent", "{segment}"),
		retransmitted: check.Counter("system.linux.tcp.segments.retransmitted", "{segment}"),
	}
}

func (k *sockets) collect(s *check.Sample) error {
	stat, err1 := k.sockstat.read()
	k.parseSockstat(stat)
	snmp, err2 := k.snmp.read()
	k.parseSNMP(snmp)
	if os.IsNotExist(err1) && os.IsNotExist(err2) {
		return nil
	}
	s.Put(k.established, k.current)
	s.Put(k.timeWait, k.waiting)
	s.Put(k.udp, k.udpInUse)
	s.Put(k.segmentsSent, k.segments)
	s.Put(k.retransmitted, k.repeated)
	return errors.Join(err1, err2)
}

// parseSockstat reads lines like "TCP: inuse 1 orphan 0 tw 0 alloc 1 mem 353".
func (k *sockets) parseSockstat(content text) {
	k.waiting, k.udpInUse = none(), none()
	for {
		line, ok := content.line()
		if !ok {
			return
		}
		kind := line.word()
		tcp, udp := string(kind) == "TCP:", string(kind) == "UDP:"
		for tcp || udp {
			key := line.word()
			if len(key) == 0 {
				break
			}
			value := line.number()
			if tcp && string(key) == "tw" {
				k.waiting = value
			}
			if udp && string(key) == "inuse" {
				k.udpInUse = value
			}
		}
	}
}

// parseSNMP reads the two Tcp lines: the first has the names of the second's numbers.
func (k *sockets) parseSNMP(content text) {
	k.current, k.segments, k.repeated = none(), none(), none()
	var names text
	for {
		line, ok := content.line()
		if !ok {
			return
		}
		if string(line.word()) != "Tcp:" {
			continue
		}
		if names == nil {
			names = line
			continue
		}
		for {
			name, value := names.word(), line.word()
			if len(name) == 0 || len(value) == 0 {
				return
			}
			switch string(name) {
			case "CurrEstab":
				k.current = value.value()
			case "OutSegs":
				k.segments = value.value()
			case "RetransSegs":
				k.repeated = value.value()
			}
		}
	}
}
