// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"iter"

	"go.yaml.in/yaml/v3"
)

// field follows keys through mappings; nil where one is missing.
func field(n *yaml.Node, keys ...string) *yaml.Node {
	for _, key := range keys {
		var next *yaml.Node
		for name, value := range pairs(n) {
			if name == key {
				next = value
			}
		}
		if n = next; n == nil {
			return nil
		}
	}
	return n
}

// pairs are a mapping's keys and values; nothing where n is none.
func pairs(n *yaml.Node) iter.Seq2[string, *yaml.Node] {
	n = resolve(n)
	return func(yield func(string, *yaml.Node) bool) {
		if n == nil || n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i].Value, resolve(n.Content[i+1])) {
				return
			}
		}
	}
}

// values are a mapping's values.
func values(n *yaml.Node) (list []*yaml.Node) {
	for _, value := range pairs(n) {
		list = append(list, value)
	}
	return list
}

// resolve follows an alias to what it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func scalar(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	return n.Value
}
