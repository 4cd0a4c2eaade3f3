package server

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"muster/internal/rest"
)

// agentFiles lists the agents that lie in a directory as muster-agent-OS-ARCH. The directory is read
// at every question, since an operator may add one; a file is summed again only when it changed.
type agentFiles struct {
	dir string

	mu   sync.Mutex
	sums map[string]agentSum
}

type agentSum struct {
	size int64
	at   time.Time
	sum  string
}

const agentPrefix = "muster-agent-"

// Agents lists what can be downloaded. Files that cannot be read are left out.
func (a *agentFiles) Agents() []rest.AgentFile {
	names, _ := filepath.Glob(filepath.Join(a.dir, agentPrefix+"*-*"))
	var out []rest.AgentFile
	for _, name := range names {
		system, arch, ok := strings.Cut(strings.TrimPrefix(filepath.Base(name), agentPrefix), "-")
		if !ok {
			continue
		}
		sum, err := a.sum(name)
		if err != nil {
			continue
		}
		out = append(out, rest.AgentFile{
			OS: system, Arch: arch, Size: sum.size, SHA256: sum.sum,
			Open: func() (io.ReadCloser, error) { return os.Open(name) },
		})
	}
	return out
}

func (a *agentFiles) sum(name string) (agentSum, error) {
	info, err := os.Stat(name)
	if err != nil {
		return agentSum{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if known, ok := a.sums[name]; ok && known.size == info.Size() && known.at.Equal(info.ModTime()) {
		return known, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return agentSum{}, err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return agentSum{}, fmt.Errorf("server: read %s: %w", name, err)
	}
	sum := agentSum{size: info.Size(), at: info.ModTime(), sum: hex.EncodeToString(hash.Sum(nil))}
	if a.sums == nil {
		a.sums = map[string]agentSum{}
	}
	a.sums[name] = sum
	return sum, nil
}
