package nodes

import (
	"math"
	"strings"
	"time"

	"muster"
	"muster/internal/inventory"
)

// row is one line of the table, ready for the template.
type row struct {
	ID        string // TypeID
	Name      string
	State     muster.NodeState
	Old       bool // its values are of another time: drawn grey
	Star      bool
	Place     string // where it is, or what it runs
	PlaceLong string
	Address   string
	Addresses string // all of them, for the title
	Tags      []string
	CPU       float64
	Memory    float64
	Disk      float64
	Mount     string
	NetIn     float64
	NetOut    float64
	Spark     []float32
	Peak      float64 // of Spark, in megabits per second
	Seen      time.Time
}

// tagsShown is how many tags fit in a row.
const tagsShown = 4

func present(r *inventory.Row, now time.Time) row {
	n, live := r.Node, &r.Now
	out := row{
		ID: n.ID.String(), Name: n.Name, State: live.State, Star: n.Star, Tags: n.Tags[:min(len(n.Tags), tagsShown)],
		CPU: live.CPU, Memory: live.Memory, Disk: live.Disk, Mount: live.DiskMount,
		NetIn: live.NetIn, NetOut: live.NetOut, Spark: live.Network, Seen: live.LastSeen,
	}
	if out.State == "" {
		out.State = muster.Unknown
	}
	age := now.Sub(live.LastSeen)
	out.Old = live.State != muster.Up || age > max(oldAfter, 3*n.Period)
	where, system := place(n.Facts), system(n.Facts)
	out.Place, out.PlaceLong = where, n.Facts["os.description"]
	if where == "" {
		out.Place = system
	}
	if out.PlaceLong == "" {
		out.PlaceLong = system
	}
	if len(n.Addresses) > 0 {
		out.Address, out.Addresses = n.Addresses[0], strings.Join(n.Addresses, "\n")
	}
	for _, v := range live.Network {
		if f := float64(v) * 8 / 1e6; f > out.Peak {
			out.Peak = f
		}
	}
	out.Peak = math.Round(out.Peak*1000) / 1000
	return out
}

// fixed gives what only a fresh row can show: when it differs, values alone won't do.
func (r *row) fixed() string {
	return strings.Join([]string{string(r.State), r.Name, r.Place, r.Addresses, strings.Join(r.Tags, " "), mark(r.Old), mark(r.Star), r.Mount, mark(r.Seen.IsZero())}, "\x00")
}

func mark(b bool) string {
	if b {
		return "1"
	}
	return ""
}

// place says in which cloud and region a node is, "" when it has no cloud.
func place(facts map[string]string) string {
	provider, region := facts["cloud.provider"], facts["cloud.availability_zone"]
	if region == "" {
		region = facts["cloud.region"]
	}
	switch {
	case provider == "":
		return region
	case region == "":
		return provider
	}
	return provider + " · " + region
}

// system names the operating system shortly: "Debian 12".
func system(facts map[string]string) string {
	name, version := facts["os.name"], facts["os.version"]
	if name == "" {
		name = facts["os.type"]
	}
	name = strings.TrimSuffix(strings.TrimSuffix(name, " GNU/Linux"), " Linux")
	if name != "" && name == strings.ToLower(name) {
		name = strings.ToUpper(name[:1]) + name[1:]
	}
	return strings.TrimSpace(name + " " + version)
}
