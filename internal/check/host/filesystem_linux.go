package host

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"muster"
	"muster/internal/check"
)

const (
	// mountsEvery is how often the table of mounts is read again.
	mountsEvery = 5 * time.Second
	// statPatience is how long a sample waits for filesystems; a dying disk may never answer.
	statPatience = 500 * time.Millisecond
)

// localTypes are the filesystems that are measured: on disks of this machine, able to fill up. The
// root is measured whatever it is.
var localTypes = []string{"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "jfs", "reiserfs",
	"nilfs2", "vfat", "exfat", "ntfs", "ntfs3", "fuseblk", "ufs", "hfsplus"}

// filesystems measures how full the local ones are. The calls that ask are made in a goroutine of
// their own, since one of them may hang; meanwhile the filesystems it did not come to have no values.
type filesystems struct {
	mountinfo *procFile
	readAt    time.Time
	last      []byte // the content the list was made of
	list      []*filesystem
	statfs    func(path string, to *syscall.Statfs_t) error

	done  chan struct{} // of the round under way; nil when there is none
	timer *time.Timer
}

// filesystem is one mount with its metrics and what the last round found.
type filesystem struct {
	mount                        string
	readOnly                     float64 // 1 or 0
	noInodes                     bool
	usage, inodes                [3]*muster.Metric
	share, inodeShare, limit, ro *muster.Metric

	mu    sync.Mutex
	stat  syscall.Statfs_t
	fresh bool
}

func newFilesystems(mountinfo *procFile) *filesystems {
	return &filesystems{mountinfo: mountinfo, statfs: syscall.Statfs}
}

func newFilesystem(m mount) *filesystem {
	attrs := []string{"system.device", m.device, "system.filesystem.mountpoint", m.point, "system.filesystem.type", m.kind}
	with := func(state string) []string {
		return append(slices.Clone(attrs), "system.filesystem.state", state)
	}
	f := &filesystem{
		mount:      m.point,
		share:      check.Gauge("system.filesystem.utilization", "1", attrs...),
		inodeShare: check.Gauge("system.filesystem.inodes.utilization", "1", attrs...),
		limit:      check.Gauge("system.filesystem.limit", "By", attrs...),
		ro:         check.Gauge("system.filesystem.read_only", "1", attrs...),
	}
	for i, state := range []string{"used", "free", "reserved"} {
		f.usage[i] = check.Gauge("system.filesystem.usage", "By", with(state)...)
		if state != "reserved" {
			f.inodes[i] = check.Gauge("system.filesystem.inodes.usage", "{inode}", with(state)...)
		}
	}
	return f
}

func (f *filesystems) collect(s *check.Sample) error {
	err := f.readMounts(s.At())
	f.round()
	for _, one := range f.list {
		one.put(s)
	}
	return err
}

// round asks all filesystems and waits for the answers, but not for ever. While an earlier round still
// hangs no other is begun.
func (f *filesystems) round() {
	if f.done == nil {
		done := make(chan struct{})
		go func(list []*filesystem) {
			defer close(done)
			for _, one := range list {
				one.ask(f.statfs)
			}
		}(f.list)
		f.done = done
	}
	if f.timer == nil {
		f.timer = time.NewTimer(statPatience)
	} else {
		f.timer.Reset(statPatience)
	}
	select {
	case <-f.done:
		f.done = nil
		f.timer.Stop()
	case <-f.timer.C:
	}
}

func (f *filesystem) ask(statfs func(string, *syscall.Statfs_t) error) {
	var stat syscall.Statfs_t
	err := statfs(f.mount, &stat)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stat, f.fresh = stat, err == nil
}

// put adds the metrics, each answer once: a filesystem that did not answer this time has no values.
func (f *filesystem) put(s *check.Sample) {
	f.mu.Lock()
	stat, fresh := f.stat, f.fresh
	f.fresh = false
	f.mu.Unlock()
	v := fill{none(), none(), none(), none(), none()}
	if fresh {
		v = fillOf(&stat)
	}
	s.Put(f.usage[0], v.used)
	s.Put(f.usage[1], v.free)
	s.Put(f.usage[2], v.reserved)
	s.Put(f.limit, v.used+v.free+v.reserved)
	s.Put(f.share, ratio(v.used, v.used+v.free))
	if fresh {
		f.noInodes = v.files == 0 // some filesystems make them as they need them and count none
	}
	if !f.noInodes {
		s.Put(f.inodes[0], v.files-v.freeFiles)
		s.Put(f.inodes[1], v.freeFiles)
		s.Put(f.inodeShare, ratio(v.files-v.freeFiles, v.files))
	}
	s.Put(f.ro, f.readOnly)
}

// fill is how full a filesystem is, in bytes and inodes.
type fill struct {
	used, free, reserved float64
	files, freeFiles     float64
}

// fillOf reads an answer: what is reserved for root counts neither as used nor as free, as df has it.
func fillOf(st *syscall.Statfs_t) fill {
	block := float64(st.Frsize)
	if block == 0 {
		block = float64(st.Bsize)
	}
	return fill{
		used: float64(st.Blocks-st.Bfree) * block, free: float64(st.Bavail) * block,
		reserved: float64(st.Bfree-min(st.Bavail, st.Bfree)) * block,
		files:    float64(st.Files), freeFiles: float64(st.Ffree),
	}
}

// readMounts makes the list anew when the table of mounts changed. Filesystems that stay keep their
// metrics, so that the schema changes only by what changed.
func (f *filesystems) readMounts(now time.Time) error {
	if f.last != nil && now.Sub(f.readAt) < mountsEvery && !now.Before(f.readAt) {
		return nil
	}
	content, err := f.mountinfo.read()
	if err != nil || f.done != nil {
		return err
	}
	f.readAt = now
	if f.last != nil && bytes.Equal(content, f.last) {
		return nil
	}
	f.last = append(f.last[:0], content...)
	old := f.list
	f.list = nil
	for _, m := range pickMounts(content) {
		one := newFilesystem(m)
		for _, before := range old {
			if slices.Equal(before.share.Attrs, one.share.Attrs) {
				one = before
			}
		}
		one.readOnly = m.readOnly
		f.list = append(f.list, one)
	}
	return nil
}

// mount is a line of mountinfo.
type mount struct {
	root, point, kind, device string
	readOnly                  float64 // of the filesystem, not of this one mount: the kernel sets it after errors
}

// pickMounts chooses the mounts to measure: each filesystem once, where it is mounted whole if that is
// anywhere, else by its shortest path; sorted by path.
func pickMounts(content text) []mount {
	best := map[string]mount{}
	for {
		line, ok := content.line()
		if !ok {
			break
		}
		m, ok := parseMount(line)
		if !ok {
			continue
		}
		key := m.device
		if !strings.HasPrefix(key, "/") {
			key = m.kind + " " + m.device + " " + m.point
		}
		if old, found := best[key]; !found || better(m, old) {
			best[key] = m
		}
	}
	list := make([]mount, 0, len(best))
	for _, m := range best {
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b mount) int { return strings.Compare(a.point, b.point) })
	return list[:min(len(list), maxDevices)]
}

// better prefers the root of the machine, then a mount of the whole filesystem, then a shorter path.
func better(a, b mount) bool {
	if a.point == "/" || b.point == "/" {
		return a.point == "/"
	}
	if (a.root == "/") != (b.root == "/") {
		return a.root == "/"
	}
	return len(a.point) < len(b.point)
}

// parseMount reads a line; ok is false for what is not measured: other types than local ones, and
// single files or directories of one that are mounted somewhere (containers do that).
func parseMount(line text) (m mount, ok bool) {
	line.skip(3)
	m.root, m.point = unescape(line.word()), unescape(line.word())
	for {
		word := line.word()
		if len(word) == 0 {
			return m, false
		}
		if string(word) == "-" {
			break
		}
	}
	m.kind, m.device = string(line.word()), unescape(line.word())
	if options := line.word(); string(options) == "ro" || bytes.HasPrefix(options, []byte("ro,")) {
		m.readOnly = 1
	}
	if m.point == "/" {
		return m, m.kind != "rootfs"
	}
	part := m.root != "/" && m.kind != "btrfs"
	return m, !part && slices.Contains(localTypes, m.kind)
}

// unescape reads the octal escapes of mountinfo: \040 is a space.
func unescape(t text) string {
	if bytes.IndexByte(t, '\\') < 0 {
		return string(t)
	}
	var b strings.Builder
	for i := 0; i < len(t); i++ {
		if t[i] == '\\' && i+3 < len(t) && octal(t[i+1]) && octal(t[i+2]) && octal(t[i+3]) {
			b.WriteByte((t[i+1]-'0')<<6 | (t[i+2]-'0')<<3 | (t[i+3] - '0'))
			i += 3
			continue
		}
		b.WriteByte(t[i])
	}
	return b.String()
}

func octal(c byte) bool { return c >= '0' && c <= '7' }
