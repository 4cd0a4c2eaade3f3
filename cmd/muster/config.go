package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"
	xterm "golang.org/x/term"

	"muster/internal/phrase"
)

// configFlags are those by which any field can be said.
type configFlags struct {
	config string
	set    []string
}

func (o *configFlags) register(f *pflag.FlagSet) {
	f.StringVar(&o.config, "config", "", "the kind's fields as `JSON`, or @FILE that holds them")
	f.StringArrayVar(&o.set, "set", nil, "one of the kind's fields as `name=value`, where value may be JSON or @FILE; repeatable")
}

// apply puts what the flags say into a configuration.
func (a *app) applyConfig(o *configFlags, into phrase.Fields) error {
	text, err := a.orFile(o.config)
	if err != nil {
		return err
	}
	said, err := phrase.ReadFields([]byte(text))
	if err != nil {
		return usagef("--config: %w", err)
	}
	for name, raw := range said {
		into[name] = raw
	}
	for _, pair := range o.set {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return usagef("--set %q: write it name=value", pair)
		}
		if value, err = a.orFile(value); err != nil {
			return err
		}
		if json.Valid([]byte(value)) {
			into[name] = json.RawMessage(value)
		} else {
			into.Put(name, value)
		}
	}
	return nil
}

// maxFile is how much is read from a file that a flag names.
const maxFile = 128 << 10

// orFile gives the text itself, or what is in the file behind an @; @- is what comes in.
func (a *app) orFile(text string) (string, error) {
	name, ok := strings.CutPrefix(text, "@")
	if !ok {
		return text, nil
	}
	return a.readFile(name)
}

// readFile reads a file without the line's end behind it; - is what comes in.
func (a *app) readFile(name string) (string, error) {
	var from io.Reader = a.in
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return "", usageError{err}
		}
		defer func() { _ = file.Close() }()
		from = file
	}
	raw, err := io.ReadAll(io.LimitReader(from, maxFile))
	return strings.TrimRight(string(raw), "\r\n"), err
}

// secret gives what nobody is to see: from a file, from the environment, or typed without being shown. It is ""
// when there is none and none is needed.
func (a *app) secret(file, what string, needed bool) (string, error) {
	const variable = "MUSTER_CHANNEL_SECRET"
	if file != "" {
		return a.readFile(file)
	}
	if text, ok := a.env(variable); ok || !needed {
		return text, nil
	}
	in, ok := a.in.(*os.File)
	if !ok || !xterm.IsTerminal(int(in.Fd())) {
		return "", usagef("%s is needed: --secret-file FILE (- for standard input), or %s in the environment", what, variable)
	}
	fmt.Fprintf(a.err, "Type %s (it is not shown): ", what)
	raw, err := xterm.ReadPassword(int(in.Fd()))
	fmt.Fprintln(a.err)
	return strings.TrimSpace(string(raw)), err
}
