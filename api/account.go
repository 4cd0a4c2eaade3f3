package api

import "time"

// Account is the tenant that the caller belongs to.
type Account struct {
	Object
	Name             string           `json:"name" doc:"The account's name."`
	Retention        string           `json:"retention" doc:"The class by which measurements are kept."`
	RetentionClasses []RetentionClass `json:"retention_classes" nullable:"false" doc:"The classes to choose from."`
}

// RetentionClass says how long measurements are kept, and what that costs here.
type RetentionClass struct {
	Name             string `json:"name" doc:"The name of the class."`
	Raw              string `json:"raw" doc:"How long every single measurement is kept."`
	Tiles5m          string `json:"tiles_5m" doc:"How long the values per 5 minutes are kept."`
	Tiles1h          string `json:"tiles_1h" doc:"How long the values per hour are kept."`
	BytesPerNodeYear int64  `json:"bytes_per_node_year,omitempty" doc:"What one node takes in the store for a year, as measured here. Absent until enough was measured."`
}

// AccountEdit is what an admin may change of the account, as a merge patch.
type AccountEdit struct {
	Name      *string `json:"name,omitempty" nullable:"false" minLength:"1" maxLength:"200" doc:"The account's name."`
	Retention *string `json:"retention,omitempty" nullable:"false" minLength:"1" maxLength:"64" doc:"The name of a retention class. Holds for what is measured from now on."`
}

// Me is the caller.
type Me struct {
	ID        string `json:"id" doc:"The user's or the token's id."`
	Kind      string `json:"kind" enum:"user,token" doc:"What the caller is."`
	Name      string `json:"name" doc:"The caller's name."`
	Role      string `json:"role" enum:"admin,operator,observer" doc:"What the caller may do."`
	AccountID string `json:"account_id" doc:"The caller's account."`
}

// PasswordChange sets the caller's password.
type PasswordChange struct {
	Old string `json:"old,omitempty" maxLength:"1024" doc:"The password until now. Left out when there is none yet."`
	New string `json:"new" minLength:"8" maxLength:"1024" doc:"The password from now on."`
}

// User is a person in the account.
type User struct {
	Object
	Name     string `json:"name" doc:"What the person signs in with."`
	Role     string `json:"role" enum:"admin,operator,observer" doc:"What the person may do."`
	Password bool   `json:"password" doc:"Whether a password was chosen."`
	LoginURL string `json:"login_url,omitempty" doc:"Opens the pages once, without a password. Only in the answer that made it."`
}

// UserNew makes a user.
type UserNew struct {
	Name string `json:"name" minLength:"1" maxLength:"100" doc:"What the person signs in with; unique."`
	Role string `json:"role" enum:"admin,operator,observer" doc:"What the person may do."`
}

// UserEdit is what an admin may change of a user, as a merge patch.
type UserEdit struct {
	Role *string `json:"role,omitempty" nullable:"false" enum:"admin,operator,observer" doc:"What the person may do."`
}

// Token is an API token.
type Token struct {
	Object
	Name       string     `json:"name" doc:"What it is for, in words."`
	Role       string     `json:"role" enum:"admin,operator,observer" doc:"What the bearer may do."`
	Secret     string     `json:"secret,omitempty" doc:"What goes behind Bearer. Only in the answer that made it."`
	LastUsedAt *time.Time `json:"last_used_at,omitempty" doc:"When it was last used, to within some minutes. Absent when never."`
}

// TokenNew makes a token.
type TokenNew struct {
	Name string `json:"name" minLength:"1" maxLength:"100" doc:"What it is for, in words."`
	Role string `json:"role,omitempty" enum:"admin,operator,observer" default:"observer" doc:"What the bearer may do; at most what the maker may."`
}

// Enrollment invites agents into the account.
type Enrollment struct {
	Object
	ExpiresAt time.Time `json:"expires_at" doc:"When it ends."`
	UsesLeft  int       `json:"uses_left" doc:"How many more agents may join by it."`
	Token     string    `json:"token,omitempty" doc:"What the agent shows. Only in the answer that made it."`
	Command   string    `json:"command,omitempty" doc:"The line to paste on the machine. Only in the answer that made it."`
}

// EnrollmentNew makes an enrollment.
type EnrollmentNew struct {
	Uses int    `json:"uses,omitempty" minimum:"1" maximum:"10000" default:"1" doc:"How many agents may join by it."`
	TTL  string `json:"ttl,omitempty" maxLength:"32" default:"1h" doc:"How long it lasts, as a duration: 1 minute to 30 days."`
}

// Event is one line of the changelog.
type Event struct {
	ID      string    `json:"id" doc:"The event's id."`
	At      time.Time `json:"at" doc:"When it happened."`
	Kind    string    `json:"kind" doc:"What kind of change: node.joined, token.created."`
	Actor   string    `json:"actor" doc:"Who did it: a user's or token's id, agent, or muster."`
	Subject string    `json:"subject,omitempty" doc:"The id of what changed."`
	Name    string    `json:"name,omitempty" doc:"The name of what changed, at that time."`
	Text    string    `json:"text" doc:"What happened, in words."`
}

// Readiness is the answer of /readyz.
type Readiness struct {
	Ready bool   `json:"ready" doc:"Whether every part is."`
	Parts []Part `json:"parts" nullable:"false" doc:"The parts of the server."`
}

// Part is one part of the server and how it is.
type Part struct {
	Name   string `json:"name" doc:"Which part."`
	Ready  bool   `json:"ready" doc:"Whether it answers."`
	Detail string `json:"detail,omitempty" doc:"What is wrong, or a figure."`
}
