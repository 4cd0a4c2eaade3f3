package host

import (
	"encoding/binary"
	"path/filepath"
)

var cpuBigEndian = binary.NativeEndian.Uint16([]byte{0, 1}) == 1

// platformParts are the parts of a Linux machine, over files that Close lets go.
func (h *Host) platformParts() []part {
	var files []*procFile
	open := func(path string) *procFile {
		f := &procFile{path: filepath.Join(h.options.Proc, path)}
		files = append(files, f)
		return f
	}
	sys := newSystem(open("loadavg"), open("uptime"), h.options.Proc)
	h.close = func() {
		sys.close()
		for _, f := range files {
			f.close()
		}
	}
	return []part{
		newCPU(open("stat")),
		sys,
		newMemory(open("meminfo"), open("vmstat")),
		newPressure(open),
		newDisks(open("diskstats"), h.options.Sys),
		newFilesystems(open("self/mountinfo")),
		newNetworks(open("net/dev")),
		newSockets(open("net/sockstat"), open("net/snmp")),
	}
}
