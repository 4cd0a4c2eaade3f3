package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"
)

// applySettings sets every flag that was not given on the command line from the environment or, failing
// that, from the YAML file. Keys the program does not know are refused: a misspelt setting must not be
// silently ignored.
func applySettings(flags *pflag.FlagSet, file string, lookup func(string) (string, bool)) error {
	if file == "" {
		file, _ = lookup("MUSTER_CONFIG")
	}
	settings, err := readSettings(flags, file)
	if err != nil {
		return err
	}
	var fault error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || fault != nil || f.Name == "config" {
			return
		}
		name := "MUSTER_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, given := lookup(name)
		from := name
		if !given {
			value, given = settings[f.Name]
			from = file + ": " + f.Name
		}
		if !given {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			fault = usageError{fmt.Errorf("%s: %w", from, err)}
		}
	})
	return fault
}

func readSettings(flags *pflag.FlagSet, file string) (map[string]string, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the settings: %w", err)
	}
	var raw map[string]any
	if err := yaml.Unmarshal(text, &raw); err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", file, err)}
	}
	settings := map[string]string{}
	for key, value := range raw {
		if flags.Lookup(key) == nil {
			return nil, usageError{fmt.Errorf("%s: %q is no setting; `muster serve --help` lists them by the names of their flags", file, key)}
		}
		settings[key] = plain(value)
	}
	return settings, nil
}

// plain writes a YAML value as a flag takes it; a list is separated by commas.
func plain(value any) string {
	list, ok := value.([]any)
	if !ok {
		return fmt.Sprint(value)
	}
	var parts []string
	for _, v := range list {
		parts = append(parts, fmt.Sprint(v))
	}
	return strings.Join(parts, ",")
}
