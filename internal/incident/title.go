package incident

import "muster"

// Title says in one line whose incident it is and what is wrong: "edge-fra-3 is silent", "api-07 · HTTP
// /health", "db-primary · Memory exhausted, and 2 more". The worst of what is open stands first, then
// the oldest; of a resolved incident it is all that was wrong. Fold keeps it in Incident.Title.
//
// What is wrong is the alarm's name. One that begins with "is ", "has ", "does " and the like makes a
// sentence of the subject's name. For a check of a node it is the series, which is the check's name.
func Title(in *muster.Incident) string { return in.Title }
