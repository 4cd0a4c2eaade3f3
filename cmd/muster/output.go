package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"muster/internal/term"
)

// formats are what --output takes.
var formats = []string{"table", "json", "yaml", "name"}

func (a *app) checkOutput() error {
	if !slices.Contains(formats, a.output) {
		return usagef("--output %q: it must be %s", a.output, strings.Join(formats, ", "))
	}
	return nil
}

// print writes v in the chosen format: as JSON or YAML whole, as its names one per line, or as table draws it.
func (a *app) print(v any, names []string, table func()) error {
	switch a.output {
	case "json":
		enc := json.NewEncoder(a.Out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	case "yaml":
		return a.printYAML(v)
	case "name":
		for _, n := range names {
			fmt.Fprintln(a.Out, term.Clean(n))
		}
		return nil
	}
	table()
	return nil
}

// printYAML goes through JSON, so that fields are called and ordered as the API does it.
func (a *app) printYAML(v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return err
	}
	block(&doc)
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return err
	}
	_, err = a.Out.Write(b.Bytes())
	return err
}

// block takes JSON's style from a document.
func block(n *yaml.Node) {
	n.Style &^= yaml.FlowStyle
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		n.Style = 0
	}
	for _, c := range n.Content {
		block(c)
	}
}
