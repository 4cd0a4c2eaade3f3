package roster

import "muster"

// SetZone says who the runners of a zone are, for tests of several zones.
func SetZone(r *Roster, account muster.AccountID, zone string, nodes ...muster.NodeID) {
	r.setZone(account, zone, nodes...)
}
