package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"muster"
	"muster/api"
	"muster/client"
)

// A server leaves these in its data directory for its own user: an admin's token, and where it listens
// (with the fingerprint of its certificate behind it when it is its own).
const (
	localToken  = "cli-token"
	localServer = "cli-server"
)

// client makes the client from flags and environment, and on the server's own machine from what the
// server left for its user.
func (a *app) client() (*client.Client, error) {
	a.fromEnv(&a.server, "MUSTER_SERVER")
	a.fromEnv(&a.token, "MUSTER_TOKEN")
	a.fromEnv(&a.pin, "MUSTER_PIN")
	a.fromEnv(&a.data, "MUSTER_DATA")
	if a.data == "" {
		a.data = defaultData()
	}
	if a.server == "" {
		a.readLocalServer()
	}
	if a.token == "" && onThisMachine(a.server) {
		if err := a.readLocalToken(); err != nil {
			return nil, err
		}
	}
	c, err := client.New(client.Options{Server: a.server, Token: a.token, Pin: a.pin, UserAgent: "muster/" + version})
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// absolute gives the whole address of what a server that does not know its own calls only by its path.
func (a *app) absolute(address string) string {
	if !strings.HasPrefix(address, "/") {
		return address
	}
	return strings.TrimRight(cmp.Or(a.server, client.DefaultServer), "/") + address
}

func (a *app) fromEnv(value *string, name string) {
	if *value == "" {
		*value, _ = a.env(name)
	}
}

// onThisMachine says whether the server's address is this machine's own: nobody else is shown the local token.
func onThisMachine(server string) bool {
	if server == "" {
		return true
	}
	if !strings.Contains(server, "://") {
		server = "http://" + server
	}
	u, err := url.Parse(server)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

func (a *app) readLocalServer() {
	text, err := os.ReadFile(filepath.Join(a.data, localServer))
	if err != nil {
		return
	}
	words := strings.Fields(string(text))
	if len(words) > 0 && onThisMachine(words[0]) {
		a.server = words[0]
		if len(words) > 1 && a.pin == "" {
			a.pin = words[1]
		}
	}
}

// readLocalToken reads the token that a server left for its user. That there is none is no error here:
// the server says that one is needed.
func (a *app) readLocalToken() error {
	name := filepath.Join(a.data, localToken)
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || a.data == "" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the local token: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%w: %s can be read by others (%v); make a new one: remove it and restart the server", muster.ErrDenied, name, info.Mode().Perm())
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the local token: %w", err)
	}
	a.token = strings.TrimSpace(string(text))
	return nil
}

// findNode gives the node of that name or id.
func findNode(ctx context.Context, c *client.Client, nameOrID string) (*api.Node, error) {
	if _, err := muster.ParseNodeID(nameOrID); err == nil {
		n, err := c.Node(ctx, nameOrID)
		if errors.Is(err, muster.ErrNotFound) {
			return nil, noNode(nameOrID)
		}
		return n, err
	}
	list, err := c.Nodes(ctx, client.ListOptions{Name: nameOrID, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(list.Items) == 0 {
		return nil, noNode(nameOrID)
	}
	return &list.Items[0], nil
}

func noNode(name string) error {
	return notThere{fmt.Errorf("%w: there is no node %q", muster.ErrNotFound, name), "`muster node ls` lists what there is."}
}

// isMissing says whether something is not there.
func isMissing(err error) bool { return errors.Is(err, muster.ErrNotFound) }

// gone gives a "not found" that says how to see what there is.
func gone(err error, what, id, list string) error {
	if isMissing(err) {
		return notThere{fmt.Errorf("%w: there is no %s %q", muster.ErrNotFound, what, id), "`" + list + "` lists what there is."}
	}
	return err
}
