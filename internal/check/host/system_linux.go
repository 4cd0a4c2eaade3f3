package host

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"syscall"

	"muster"
	"muster/internal/check"
)

// system measures load, uptime and how many processes and threads there are.
type system struct {
	loadavg, uptime *procFile
	proc            string
	dir             *os.File // of procfs, whose numeric entries are processes
	entries         []byte
	load            [3]*muster.Metric
	tasks           *muster.Metric
	up              *muster.Metric
	processes       *muster.Metric
}

func newSystem(loadavg, uptime *procFile, proc string) *system {
	y := &system{
		loadavg: loadavg, uptime: uptime, proc: proc,
		tasks:     check.Gauge("system.linux.tasks.count", "{task}"),
		up:        check.Gauge("system.uptime", "s"),
		processes: check.Gauge("system.process.count", "{process}"),
	}
	for i, span := range []string{"1m", "5m", "15m"} {
		y.load[i] = check.Gauge("system.cpu.load_average."+span, "{thread}")
	}
	return y
}

func (y *system) collect(s *check.Sample) error {
	content, err1 := y.loadavg.read()
	for _, m := range y.load {
		s.Put(m, content.number())
	}
	tasks := content.word() // running/all
	if slash := bytes.IndexByte(tasks, '/'); slash >= 0 {
		tasks = tasks[slash+1:]
	}
	s.Put(y.tasks, tasks.value())
	content, err2 := y.uptime.read()
	s.Put(y.up, math.Floor(content.number()))
	processes, err3 := y.countProcesses()
	s.Put(y.processes, processes)
	return errors.Join(err1, err2, err3)
}

// countProcesses counts the entries of procfs that start with a digit, without making a string of each.
func (y *system) countProcesses() (float64, error) {
	if y.dir == nil {
		dir, err := os.Open(y.proc)
		if err != nil {
			return none(), err
		}
		y.dir, y.entries = dir, make([]byte, 16<<10)
	}
	fd := int(y.dir.Fd())
	if _, err := syscall.Seek(fd, 0, 0); err != nil {
		return none(), fmt.Errorf("%s: %w", y.proc, err)
	}
	count := 0
	for {
		n, err := syscall.ReadDirent(fd, y.entries)
		if err != nil {
			return none(), fmt.Errorf("%s: %w", y.proc, err)
		}
		if n <= 0 {
			return float64(count), nil
		}
		count += numericEntries(y.entries[:n])
	}
}

// numericEntries counts in a buffer of linux_dirent64: 8 bytes inode, 8 offset, 2 length, 1 type, name.
func numericEntries(b []byte) (count int) {
	const lengthAt, nameAt = 16, 19
	for len(b) > nameAt {
		length := int(b[lengthAt]) | int(b[lengthAt+1])<<8
		if cpuBigEndian {
			length = int(b[lengthAt])<<8 | int(b[lengthAt+1])
		}
		if c := b[nameAt]; c >= '1' && c <= '9' {
			count++
		}
		if length <= 0 || length > len(b) {
			return count
		}
		b = b[length:]
	}
	return count
}

func (y *system) close() {
	if y.dir != nil {
		_ = y.dir.Close() // it was only read
		y.dir = nil
	}
}

// pressure measures stalls (PSI): how long some or all tasks waited for a resource.
type pressure struct {
	resources []pressureOf
}

type pressureOf struct {
	file       *procFile
	some, full *muster.Metric
}

func newPressure(open func(path string) *procFile) *pressure {
	p := new(pressure)
	for _, resource := range []string{"cpu", "io", "memory"} {
		stalled := func(who string) *muster.Metric {
			return check.Counter("system.linux.pressure.time", "s",
				"system.linux.pressure.resource", resource, "system.linux.pressure.stalled", who)
		}
		p.resources = append(p.resources, pressureOf{
			file: open("pressure/" + resource), some: stalled("some"), full: stalled("full"),
		})
	}
	return p
}

func (p *pressure) collect(s *check.Sample) error {
	for i := range p.resources {
		r := &p.resources[i]
		content, err := r.file.read()
		if err != nil {
			continue // a kernel without PSI, or with PSI switched off: no metric rather than an error each time
		}
		for {
			line, ok := content.line()
			if !ok {
				break
			}
			who := line.word()
			at := bytes.Index(line, []byte("total="))
			if at < 0 {
				continue
			}
			total := line[at+len("total="):].value() / 1e6
			switch string(who) {
			case "some":
				s.Put(r.some, total)
			case "full":
				s.Put(r.full, total)
			}
		}
	}
	return nil
}
