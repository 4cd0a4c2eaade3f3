package muster

import "time"

// Account is a tenant: it owns everything else, and nothing crosses from one to another.
type Account struct {
	ID        AccountID
	Rev       uint64
	Name      string
	Spread    int    // over how many shards its nodes are spread, fixed when it is made
	Retention string // the name of a retention class
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Role says what a user or a token may do.
type Role string

const (
	// Admin may do everything in the account.
	Admin Role = "admin"
	// Operator may change nodes, checks and alarms, but not people, tokens or the account.
	Operator Role = "operator"
	// Observer may look.
	Observer Role = "observer"
)

// May says whether the role includes what the other may do.
func (r Role) May(other Role) bool { return r.rank() >= other.rank() && r.rank() > 0 }

func (r Role) rank() int {
	switch r {
	case Admin:
		return 3
	case Operator:
		return 2
	case Observer:
		return 1
	}
	return 0
}

// User is a person in an account.
type User struct {
	ID           UserID
	Account      AccountID
	Rev          uint64
	Name         string // what she signs in with; unique over all accounts
	Role         Role
	PasswordHash string // argon2id in PHC form; empty until a password was chosen
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// Token is an API key. Only a hash of its secret is kept.
type Token struct {
	ID         TokenID
	Account    AccountID
	Rev        uint64
	Name       string
	Role       Role
	SecretHash []byte // SHA-256 of the secret, which has 256 random bits
	LastUsedAt time.Time
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// Enrollment invites agents into an account until it expires or is used up.
type Enrollment struct {
	ID         EnrollmentID
	Account    AccountID
	Rev        uint64
	SecretHash []byte // SHA-256 of the token
	UsesLeft   int
	Uses       []EnrollmentUse // the latest, oldest first
	ExpiresAt  time.Time
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// EnrollmentUse is one use of an enrolment.
type EnrollmentUse struct {
	Key []byte // ed25519 public key of the agent
	At  time.Time
}

// NodeState says how a node is, as far as anybody knows.
type NodeState string

const (
	// Up means that frames arrive, or that the provider says it runs.
	Up NodeState = "up"
	// Down means that frames should arrive and do not.
	Down NodeState = "down"
	// Pending means that the node was never heard of yet.
	Pending NodeState = "pending"
	// Stopped means that it was stopped on purpose: by a person, or by a clean shutdown.
	Stopped NodeState = "stopped"
	// Terminated means that it does not exist any more.
	Terminated NodeState = "terminated"
	// Unknown means that nothing here can tell, for instance right after a start.
	Unknown NodeState = "unknown"
)

// Node is one server: what is known and rarely changes. What changes with every frame is in NodeNow.
type Node struct {
	ID           NodeID
	Account      AccountID
	Rev          uint64
	Name         string // unique within the account
	Hostname     string
	Addresses    []string // numeric, most useful first
	Tags         []string // "web", "env=prod"; sorted
	Star         bool
	Colour       string
	Notes        string            // markdown
	Facts        map[string]string // "os.type": "linux"; OpenTelemetry's resource attributes where they exist
	AgentKey     []byte            // ed25519 public key of the agent
	AgentVersion string
	Period       time.Duration // at which the agent measures when nobody looks
	Farewell     Farewell      // how the agent left, when it said so
	Unwatched    bool          // a person said that no alarm shall look at it
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// Farewell is what an agent said when it left on purpose.
type Farewell struct {
	Reason FarewellReason // empty when it said nothing or came back
	At     time.Time
}

// FarewellReason is why an agent left.
type FarewellReason string

const (
	// FarewellShutdown means that the machine goes down.
	FarewellShutdown FarewellReason = "shutdown"
	// FarewellStop means that only the agent was stopped.
	FarewellStop FarewellReason = "stop"
	// FarewellUpgrade means that the agent will be back at once.
	FarewellUpgrade FarewellReason = "upgrade"
)

// NodeNow is the live part of a node: derived from its frames, held in memory, never stored as a document.
// Shares are 0 to 1; what is not known is NaN.
type NodeNow struct {
	State     NodeState
	Since     time.Time // when the state began; zero when unknown
	LastSeen  time.Time // instant of the newest frame; zero when there is none
	Connected bool      // an agent of this node holds a connection
	CPU       float64   // share of all cores that was busy
	Memory    float64   // share of memory in use
	Disk      float64   // share of the fullest filesystem in use
	DiskMount string    // where that filesystem is mounted
	Load      float64   // one-minute load average
	Uptime    float64   // seconds
	NetIn     float64   // bytes per second received
	NetOut    float64   // bytes per second sent
	Network   []float32 // the last sums of NetIn and NetOut, oldest first, for a sparkline
	ClockOff  time.Duration
	Dropped   uint64 // metrics refused by a cap since the agent connected
	Metrics   int    // how many metrics its newest frames carry, over all sources
}

// Event is one line of an account's changelog: who or what changed what, and when.
type Event struct {
	ID      string // deterministic where the same change may be told twice
	Account AccountID
	At      time.Time
	Kind    string // "node.joined", "node.changed", "token.created", "user.signed_in"
	Actor   string // "user_...", "token_...", "agent", "muster"
	Subject string // id of what changed
	Name    string // its name at that time, for reading
	Text    string // what happened, in words, without the name
}
