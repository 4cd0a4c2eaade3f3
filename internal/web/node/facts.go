package node

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"

	"muster"
	"muster/internal/inventory"
	"muster/internal/web/shell"
)

// fact is one entry of the row below the name.
type fact struct {
	Title  string
	Values []string
	Mono   bool
	Bad    bool   // worth a look
	Long   string // on hover
}

// addressesShown is how many addresses fit beside the other facts; the rest is on hover.
const addressesShown = 2

// facts gives what is known of the node, in the order of its use; what is not known is left out.
func facts(row *inventory.Row) []fact {
	n, now := row.Node, &row.Now
	f := n.Facts
	var out []fact
	add := func(title, value string) {
		if value != "" {
			out = append(out, fact{Title: title, Values: []string{value}})
		}
	}
	add("Where", join(" · ", f["cloud.provider"], cmp.Or(f["cloud.availability_zone"], f["cloud.region"]), f["host.type"]))
	if len(n.Addresses) > 0 {
		out = append(out, fact{Title: "Address", Values: n.Addresses[:min(len(n.Addresses), addressesShown)], Mono: true, Long: strings.Join(n.Addresses, "\n")})
	}
	if len(out) == 0 || out[0].Title != "Where" {
		add("Machine", join(" ", f["host.virtualization"], f["device.model.name"]))
	}
	add("OS", system(f))
	add("CPU", processor(f))
	if bytes, err := number(f["system.memory.limit"]); err == nil {
		add("Memory", shell.Bytes(bytes))
	}
	if now.Uptime > 0 && !math.IsNaN(now.Uptime) {
		add("Up", shell.Span(time.Duration(now.Uptime)*time.Second))
	}
	add("Agent", agent(n, now))
	if off := now.ClockOff; off.Abs() > 2*time.Second {
		word := "ahead"
		if off < 0 {
			word = "behind"
		}
		out = append(out, fact{Title: "Clock", Values: []string{shell.Span(off.Abs()) + " " + word}, Bad: true, Long: "Times of its frames are corrected by this."})
	}
	if now.Dropped > 0 {
		out = append(out, fact{Title: "Dropped", Values: []string{fmt.Sprint(now.Dropped) + " metrics"}, Bad: true, Long: "The agent sends more metrics than are kept; see the cap in the guide."})
	}
	return out
}

func agent(n *muster.Node, now *muster.NodeNow) string {
	if n.AgentVersion == "" {
		return ""
	}
	words := n.AgentVersion
	if !now.Connected {
		words += ", not connected"
	}
	return words
}

// system gives "Debian 12, Linux 6.1".
func system(f map[string]string) string {
	name := join(" ", strings.TrimSuffix(f["os.name"], " GNU/Linux"), f["os.version"])
	if name == "" {
		name = cmp.Or(f["os.description"], f["os.type"])
	}
	kernel, _, _ := strings.Cut(f["os.kernel.release"], "-")
	if kernel != "" && f["os.type"] == "linux" {
		kernel = "Linux " + kernel
	}
	return join(", ", name, kernel)
}

func processor(f map[string]string) string {
	count := f["system.cpu.logical.count"]
	model := f["host.cpu.model.name"]
	for _, noise := range []string{"(R)", "(TM)", "(tm)", " CPU", " Processor"} {
		model = strings.ReplaceAll(model, noise, "")
	}
	model, _, _ = strings.Cut(model, " @ ")
	model = strings.Join(strings.Fields(model), " ")
	if count != "" && model != "" {
		return count + " × " + model
	}
	if count != "" {
		return join(" · ", count+" cores", f["host.arch"])
	}
	return cmp.Or(model, f["host.arch"])
}

func join(by string, parts ...string) string {
	var kept []string
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, by)
}

func number(s string) (float64, error) {
	var v float64
	_, err := fmt.Sscan(s, &v)
	return v, err
}

// stateWords says in words what a state that is not plain up means, and what to do.
func stateWords(row *inventory.Row, now time.Time) string {
	n := &row.Now
	silence := ""
	if !n.LastSeen.IsZero() {
		silence = shell.Span(now.Sub(n.LastSeen))
	}
	switch n.State {
	case muster.Up:
		return ""
	case muster.Down:
		words := "Nothing was heard of it for " + cmp.Or(silence, "a while") + "."
		if n.Connected {
			return words + " Its agent is still connected but sends no measurements: look at the agent's log."
		}
		return words + " The machine, its network or its agent may be away. The charts end where its data ends."
	case muster.Stopped:
		return "It said that it stops" + reason(row.Node.Farewell.Reason) + ". That is no fault."
	case muster.Pending:
		return "It was never heard of yet. The charts begin with its first measurement."
	case muster.Terminated:
		return "It does not exist any more; what it measured is kept until its time is up."
	}
	return "Nothing here can tell yet how it is."
}

func reason(r muster.FarewellReason) string {
	switch r {
	case muster.FarewellShutdown:
		return ": the machine was shut down"
	case muster.FarewellStop:
		return ": its agent was stopped"
	case muster.FarewellUpgrade:
		return ": its agent is being upgraded"
	}
	return ""
}
