package rest

import (
	"context"

	"muster"
	"muster/internal/auth"
	"muster/internal/inventory"
	"muster/internal/live"
	"muster/internal/once"
	"muster/internal/series"
)

// Nodes is what the API asks of the inventory. Errors wrap the kinds of the root package.
type Nodes interface {
	List(account muster.AccountID, o inventory.ListOptions) (rows []inventory.Row, total int)
	Get(account muster.AccountID, id muster.NodeID) (inventory.Row, error)
	Find(account muster.AccountID, idOrName string) (inventory.Row, error)
	Update(ctx context.Context, edit inventory.Edit, change func(*muster.Node) error) (inventory.Row, error)
	Delete(ctx context.Context, edit inventory.Edit) error
	NewEnrollment(ctx context.Context, i inventory.Invite) (muster.Enrollment, string, error)
	Enrollments(ctx context.Context, account muster.AccountID) ([]*muster.Enrollment, error)
	Revoke(ctx context.Context, account muster.AccountID, id muster.EnrollmentID, actor string) error
}

// Series is what the API asks of the time series.
type Series interface {
	Query(ctx context.Context, q series.Query) (*series.Answer, error)
	Metrics(ctx context.Context, account muster.AccountID, node muster.NodeID) ([]series.MetricNow, error)
	Classes() []series.Class
}

// Store is what the API asks of the documents. Errors wrap the kinds of the root package; rev 0 is any rev.
type Store interface {
	Account(ctx context.Context, id muster.AccountID) (*muster.Account, error)
	UpdateAccount(ctx context.Context, id muster.AccountID, rev uint64, fn func(*muster.Account) error) (*muster.Account, error)
	CreateUser(ctx context.Context, u *muster.User) error
	User(ctx context.Context, account muster.AccountID, id muster.UserID) (*muster.User, error)
	Users(ctx context.Context, account muster.AccountID) ([]*muster.User, error)
	UpdateUser(ctx context.Context, account muster.AccountID, id muster.UserID, rev uint64, fn func(*muster.User) error) (*muster.User, error)
	DeleteUser(ctx context.Context, account muster.AccountID, id muster.UserID, rev uint64) error
	Token(ctx context.Context, account muster.AccountID, id muster.TokenID) (*muster.Token, error)
	Tokens(ctx context.Context, account muster.AccountID) ([]*muster.Token, error)
	EnrollmentByHash(ctx context.Context, hash []byte) (*muster.Enrollment, error)
	AppendEvents(ctx context.Context, events []muster.Event) error
	Events(ctx context.Context, account muster.AccountID, before string, limit int) (events []muster.Event, next string, err error)
	once.Store
}

// Auth says who callers are and makes what they show.
type Auth interface {
	Bearer(ctx context.Context, secret string) (auth.Identity, error)
	Session(ctx context.Context, cookie string) (id auth.Identity, csrf string, err error)
	CheckCSRF(cookie, token string) bool
	NewOneTime(ctx context.Context, account muster.AccountID, user muster.UserID) (code string, err error)
	NewToken(ctx context.Context, id auth.Identity, name string, role muster.Role) (t muster.Token, secret string, err error)
	RevokeToken(ctx context.Context, id auth.Identity, token muster.TokenID) error
	SetPassword(ctx context.Context, id auth.Identity, old, new string) error
	Forget(account muster.AccountID, user muster.UserID, token muster.TokenID)
}

// Live lets a stream hear of changes. Data of a message about a node is an inventory.Row, of a
// deleted one an inventory.Change, of the changelog a muster.Event; anything else is sent as its JSON.
type Live interface {
	Subscribe(account muster.AccountID, want live.Want) *live.Subscription
}
