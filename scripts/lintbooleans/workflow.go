// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// finding is one place where GitHub wants a boolean or a number and may get
// something else.
type finding struct {
	line, column int
	message      string
}

// file is a workflow or a composite action.
type file struct {
	path     string
	root     *yaml.Node
	findings []finding
}

// check reads the file in path and returns what is wrong with it.
func check(path string) ([]finding, error) {
	root, err := read(path)
	if err != nil {
		return nil, err
	}
	f := &file{path: path, root: root}
	switch {
	case field(root, "jobs") != nil:
		f.workflow()
	case field(root, "runs") != nil:
		f.steps(field(root, "runs", "steps"), compositeScope)
	}
	return f.findings, nil
}

func read(path string) (*yaml.Node, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(document.Content) == 0 {
		return &yaml.Node{}, nil
	}
	return document.Content[0], nil
}

func (f *file) workflow() {
	f.boolean(field(f.root, "concurrency", "cancel-in-progress"), f.scope(nil))
	for _, job := range values(field(f.root, "jobs")) {
		names := f.scope(job)
		f.boolean(field(job, "continue-on-error"), names)
		f.boolean(field(job, "strategy", "fail-fast"), names)
		f.boolean(field(job, "concurrency", "cancel-in-progress"), names)
		f.number(field(job, "timeout-minutes"), names)
		f.number(field(job, "strategy", "max-parallel"), names)
		f.called(job, names)
		f.steps(field(job, "steps"), names)
	}
}

func (f *file) steps(steps *yaml.Node, names scope) {
	if steps == nil {
		return
	}
	for _, step := range steps.Content {
		step = resolve(step)
		f.number(field(step, "timeout-minutes"), names)
		condition := field(step, "continue-on-error")
		if field(step, "uses") != nil && f.othersContext(condition) {
			continue
		}
		f.boolean(condition, names)
	}
}

// othersContext reports an expression that is evaluated, after the step has failed,
// in the context that a composite action left: its own inputs and its own steps.
func (f *file) othersContext(n *yaml.Node) bool {
	if n == nil {
		return false
	}
	inside, whole := expression(n.Value)
	tree, err := parse(inside)
	if !whole || err != nil {
		return false
	}
	for _, name := range mentioned(tree) {
		if first, _, _ := strings.Cut(name, "."); first == "inputs" || first == "steps" {
			f.add(n, fmt.Sprintf("%s is evaluated after the step has failed, when %q is what a composite action behind uses: left: its own, where %s is ''; decide in a step before, and by exit codes", show(n.Value), first, name))
			return true
		}
	}
	return false
}

// called checks what goes into boolean and number inputs of a workflow in this
// repository.
func (f *file) called(job *yaml.Node, names scope) {
	uses := field(job, "uses")
	if uses == nil || !strings.HasPrefix(uses.Value, "./") {
		return
	}
	// ./ is the repository's root, two folders above .github/workflows.
	root := filepath.Dir(filepath.Dir(filepath.Dir(f.path)))
	called, err := read(filepath.Join(root, uses.Value))
	if err != nil {
		return // actionlint says that it is missing
	}
	given := field(job, "with")
	for name, input := range pairs(field(called, "on", "workflow_call", "inputs")) {
		switch scalar(field(input, "type")) {
		case "boolean":
			f.boolean(field(given, name), names)
		case "number":
			f.number(field(given, name), names)
		}
	}
}

func (f *file) boolean(n *yaml.Node, names scope) { f.want(n, names, boolean, "a boolean") }
func (f *file) number(n *yaml.Node, names scope)  { f.want(n, names, numeric, "a number") }

func (f *file) want(n *yaml.Node, names scope, allowed kinds, what string) {
	if n == nil || n.Kind != yaml.ScalarNode {
		return
	}
	inside, whole := expression(n.Value)
	if inside == "" {
		if n.ShortTag() == "!!str" || n.ShortTag() == "!!null" {
			f.add(n, fmt.Sprintf("%s wants %s", show(n.Value), what))
		}
		return
	}
	if !whole {
		f.add(n, fmt.Sprintf("%s is a text, and %s is wanted", show(n.Value), what))
		return
	}
	tree, err := parse(inside)
	if err != nil {
		f.add(n, fmt.Sprintf("%s: %v", show(n.Value), err))
		return
	}
	if got := evaluate(tree, names); got&^allowed != 0 {
		f.add(n, fmt.Sprintf("%s may be %s where %s is wanted%s", show(n.Value), describe(got&^allowed), what, advice(tree, allowed)))
	}
}

func (f *file) add(n *yaml.Node, message string) {
	f.findings = append(f.findings, finding{n.Line, n.Column, message})
}

// expression is the inside of ${{ }}, and whether nothing stands around it.
func expression(value string) (inside string, whole bool) {
	value = strings.TrimSpace(value)
	_, rest, ok := strings.Cut(value, "${{")
	if !ok {
		return "", false
	}
	inside, after, _ := strings.Cut(rest, "}}")
	return strings.TrimSpace(inside), after == "" && strings.HasPrefix(value, "${{")
}

func show(value string) string { return strings.Join(strings.Fields(value), " ") }

func describe(k kinds) string {
	for _, d := range []struct {
		kind kinds
		name string
	}{
		{empty, "''"},
		{broken, "an error, for fromJSON('') is one"},
		{words, "a text"},
		{numeric, "a number"},
		{boolean, "a boolean"},
		{object, "a mapping or a list"},
	} {
		if k.has(d.kind) {
			return d.name
		}
	}
	return "nothing"
}

func advice(tree node, allowed kinds) string {
	if names := mentioned(tree); allowed == boolean && tree.kind == "name" && len(names) == 1 {
		return fmt.Sprintf(": write %s == true, or == 'true' where it is a text", names[0])
	}
	return ""
}

// mentioned are the names in an expression.
func mentioned(n node) (names []string) {
	if n.kind == "name" {
		names = append(names, n.text)
	}
	for _, operand := range n.operand {
		names = append(names, mentioned(operand)...)
	}
	return names
}
