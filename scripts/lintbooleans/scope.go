// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// compositeScope is what names are in a composite action, whose inputs are texts.
func compositeScope(name string) kinds {
	if strings.HasPrefix(name, "inputs.") {
		return text
	}
	return common(name)
}

// common is what names are in any file.
func common(name string) kinds {
	first, rest, _ := strings.Cut(name, ".")
	switch {
	case name == "strategy.fail-fast":
		return boolean
	case name == "strategy.job-index", name == "strategy.job-total", name == "strategy.max-parallel":
		return numeric
	case name == "github.ref_protected":
		return boolean
	case first == "github" && strings.HasPrefix(rest, "event."):
		if strings.HasPrefix(rest, "event.inputs.") {
			return text
		}
		return anything
	case slices.Contains([]string{"env", "vars", "secrets", "github", "runner", "needs", "steps", "job"}, first):
		return text
	}
	return anything
}

// scope is what names are in a workflow, in job or outside all jobs.
func (f *file) scope(job *yaml.Node) scope {
	return func(name string) kinds {
		if input, ok := strings.CutPrefix(name, "inputs."); ok {
			return f.input(input)
		}
		if key, ok := strings.CutPrefix(name, "matrix."); ok && job != nil {
			return matrix(field(job, "strategy", "matrix"), key)
		}
		return common(name)
	}
}

// input is what an input may be on any of the events that start the workflow: where
// an event does not have it, it is ”.
func (f *file) input(name string) kinds {
	on := field(f.root, "on")
	if on == nil || on.Kind != yaml.MappingNode { // events alone: none has inputs
		return empty
	}
	var found kinds
	for event, settings := range pairs(on) {
		if event != "workflow_call" && event != "workflow_dispatch" {
			found |= empty
			continue
		}
		found |= declared(field(settings, "inputs"), name)
	}
	return found
}

func declared(inputs *yaml.Node, name string) kinds {
	for declared, input := range pairs(inputs) {
		if !strings.EqualFold(declared, name) {
			continue
		}
		switch scalar(field(input, "type")) {
		case "boolean":
			return boolean
		case "number":
			return numeric
		}
		return text
	}
	return empty
}

// matrix is what a key of the matrix may be: in every combination, where the matrix
// is written out, else anything.
func matrix(m *yaml.Node, key string) kinds {
	if m == nil || m.Kind != yaml.MappingNode {
		return anything
	}
	key, _, deeper := strings.Cut(key, ".")
	var found kinds
	var base, inBase bool
	for name, list := range pairs(m) {
		if name == "include" || name == "exclude" {
			continue
		}
		base = true
		if !strings.EqualFold(name, key) {
			continue
		}
		inBase = true
		if list.Kind != yaml.SequenceNode {
			return anything
		}
		for _, value := range list.Content {
			found |= kindOf(resolve(value))
		}
	}
	include := field(m, "include")
	if include != nil && include.Kind != yaml.SequenceNode {
		return anything
	}
	everywhere := inBase || !base && include != nil
	if include != nil {
		for _, entry := range include.Content {
			value := field(resolve(entry), key)
			if value == nil {
				everywhere = everywhere && inBase
				continue
			}
			found |= kindOf(value)
		}
	}
	if !everywhere {
		found |= empty
	}
	if deeper && found.has(object) {
		return anything
	}
	return found
}

func kindOf(n *yaml.Node) kinds {
	switch {
	case n.Kind != yaml.ScalarNode:
		return object
	case strings.Contains(n.Value, "${{"):
		return anything
	}
	switch n.ShortTag() {
	case "!!bool":
		return boolean
	case "!!int", "!!float":
		return numeric
	case "!!null":
		return empty
	}
	if n.Value == "" {
		return empty
	}
	return words
}
