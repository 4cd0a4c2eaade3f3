package store

import (
	"context"
	"fmt"
	"time"

	"muster"
)

// Signatures for those who build against this package while it is being filled in.

type Store struct{}

var errLater = fmt.Errorf("%w: store: not filled in yet", muster.ErrUnavailable)

// New makes a store over an engine.
func New(e Engine, o Options) *Store { return &Store{} }

// Run tidies until ctx ends.
func (s *Store) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Close closes the engine.
func (s *Store) Close() error { return nil }

// Create* fill in ID (when zero), Rev and times. Update*: rev 0 = any; fn is called again on a lost race. Delete*: rev 0 = any. Getters give fresh copies.
func (s *Store) CreateAccount(ctx context.Context, a *muster.Account) error { return errLater }
func (s *Store) Account(ctx context.Context, id muster.AccountID) (*muster.Account, error) {
	return nil, errLater
}
func (s *Store) Accounts(ctx context.Context) ([]*muster.Account, error) { return nil, errLater }
func (s *Store) UpdateAccount(ctx context.Context, id muster.AccountID, rev uint64, fn func(*muster.Account) error) (*muster.Account, error) {
	return nil, errLater
}
func (s *Store) CreateUser(ctx context.Context, u *muster.User) error { return errLater }
func (s *Store) User(ctx context.Context, account muster.AccountID, id muster.UserID) (*muster.User, error) {
	return nil, errLater
}
func (s *Store) UserByName(ctx context.Context, name string) (*muster.User, error) {
	return nil, errLater
}
func (s *Store) Users(ctx context.Context, account muster.AccountID) ([]*muster.User, error) {
	return nil, errLater
}
func (s *Store) UpdateUser(ctx context.Context, account muster.AccountID, id muster.UserID, rev uint64, fn func(*muster.User) error) (*muster.User, error) {
	return nil, errLater
}
func (s *Store) DeleteUser(ctx context.Context, account muster.AccountID, id muster.UserID, rev uint64) error {
	return errLater
}
func (s *Store) CreateToken(ctx context.Context, t *muster.Token) error { return errLater }
func (s *Store) Token(ctx context.Context, account muster.AccountID, id muster.TokenID) (*muster.Token, error) {
	return nil, errLater
}
func (s *Store) TokenByHash(ctx context.Context, hash []byte) (*muster.Token, error) {
	return nil, errLater
}
func (s *Store) Tokens(ctx context.Context, account muster.AccountID) ([]*muster.Token, error) {
	return nil, errLater
}
func (s *Store) UpdateToken(ctx context.Context, account muster.AccountID, id muster.TokenID, rev uint64, fn func(*muster.Token) error) (*muster.Token, error) {
	return nil, errLater
}
func (s *Store) DeleteToken(ctx context.Context, account muster.AccountID, id muster.TokenID, rev uint64) error {
	return errLater
}
func (s *Store) CreateEnrollment(ctx context.Context, e *muster.Enrollment) error { return errLater }
func (s *Store) Enrollment(ctx context.Context, account muster.AccountID, id muster.EnrollmentID) (*muster.Enrollment, error) {
	return nil, errLater
}
func (s *Store) EnrollmentByHash(ctx context.Context, hash []byte) (*muster.Enrollment, error) {
	return nil, errLater
}
func (s *Store) Enrollments(ctx context.Context, account muster.AccountID) ([]*muster.Enrollment, error) {
	return nil, errLater
}

// UseEnrollment takes one use; ErrDenied, with words, when it is unknown, used up or expired.
func (s *Store) UseEnrollment(ctx context.Context, hash []byte, now time.Time) (muster.Enrollment, error) {
	return muster.Enrollment{}, errLater
}
func (s *Store) DeleteEnrollment(ctx context.Context, account muster.AccountID, id muster.EnrollmentID, rev uint64) error {
	return errLater
}

// CreateNode: ErrConflict when the name (within the account) or the agent's key is taken.
func (s *Store) CreateNode(ctx context.Context, n *muster.Node) error { return errLater }
func (s *Store) Node(ctx context.Context, account muster.AccountID, id muster.NodeID) (*muster.Node, error) {
	return nil, errLater
}
func (s *Store) NodeByKey(ctx context.Context, publicKey []byte) (*muster.Node, error) {
	return nil, errLater
}
func (s *Store) NodeByName(ctx context.Context, account muster.AccountID, name string) (*muster.Node, error) {
	return nil, errLater
}
func (s *Store) Nodes(ctx context.Context, account muster.AccountID) ([]*muster.Node, error) {
	return nil, errLater
}
func (s *Store) UpdateNode(ctx context.Context, account muster.AccountID, id muster.NodeID, rev uint64, fn func(*muster.Node) error) (*muster.Node, error) {
	return nil, errLater
}
func (s *Store) DeleteNode(ctx context.Context, account muster.AccountID, id muster.NodeID, rev uint64) error {
	return errLater
}

// AppendEvents: events without ID get one.
func (s *Store) AppendEvents(ctx context.Context, events []muster.Event) error { return errLater }

// Events gives newest first; before is a cursor from the last answer, or ""; next is "" at the end.
func (s *Store) Events(ctx context.Context, account muster.AccountID, before string, limit int) (events []muster.Event, next string, err error) {
	return nil, "", errLater
}
func (s *Store) PutSession(ctx context.Context, hash, body []byte, ttl time.Duration) error {
	return errLater
}
func (s *Store) Session(ctx context.Context, hash []byte) ([]byte, error) { return nil, errLater }
func (s *Store) DeleteSession(ctx context.Context, hash []byte) error     { return errLater }

// PutOnce stores body under key if nothing is there (ErrConflict if something is); SettleOnce writes over it; ForgetOnce frees the key.
func (s *Store) PutOnce(ctx context.Context, account muster.AccountID, key string, body []byte, ttl time.Duration) error {
	return errLater
}
func (s *Store) SettleOnce(ctx context.Context, account muster.AccountID, key string, body []byte, ttl time.Duration) error {
	return errLater
}
func (s *Store) ForgetOnce(ctx context.Context, account muster.AccountID, key string) error {
	return errLater
}
func (s *Store) Once(ctx context.Context, account muster.AccountID, key string) ([]byte, error) {
	return nil, errLater
}

// Secret: ErrNotFound when never put. MakeSecret gives the stored one, or stores what make gives; of several servers doing so at once all get the same.
func (s *Store) Secret(ctx context.Context, name string) ([]byte, error)        { return nil, errLater }
func (s *Store) PutSecret(ctx context.Context, name string, value []byte) error { return errLater }
func (s *Store) MakeSecret(ctx context.Context, name string, make func() ([]byte, error)) ([]byte, error) {
	return nil, errLater
}

// Shards gives the number of shards fixed when the store was made; want is fixed by the first call.
func (s *Store) Shards(ctx context.Context, want int) (int, error) { return 0, errLater }

// TakeShard raises the epoch (to at least atLeast) so that holder alone may append; holder is drawn at each process start.
func (s *Store) TakeShard(ctx context.Context, key ShardKey, holder string, atLeast uint64) (ShardHead, error) {
	return ShardHead{}, errLater
}

// AppendShard stores rows under the epoch, all or none: ErrConflict when a newer owner took the shard or the day is closed.
func (s *Store) AppendShard(ctx context.Context, key ShardKey, epoch uint64, rows []ShardRow) error {
	return errLater
}
func (s *Store) ScanShard(ctx context.Context, key ShardKey, from uint64, limit int) ([]ShardRow, error) {
	return nil, errLater
}
func (s *Store) CloseDay(ctx context.Context, key ShardKey, epoch uint64) error { return errLater }
