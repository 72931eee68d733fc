// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
)

// kinds is a set of what an expression may evaluate to.
type kinds uint8

// The kinds of values. Null and the empty text are one: where null is not allowed
// GitHub makes it ”.
const (
	yes kinds = 1 << iota
	no
	empty
	words // a text that is not empty
	nonzero
	zero
	object // a mapping or a list
	broken // the evaluation itself fails

	boolean  = yes | no
	numeric  = nonzero | zero
	text     = empty | words
	truthy   = yes | words | nonzero | object
	falsy    = no | empty | zero
	anything = truthy | falsy
)

// has reports whether all of part may occur.
func (k kinds) has(part kinds) bool { return k&part != 0 }

// scope tells what a name may be; name is in lower case, its parts joined by dots.
type scope func(name string) kinds

// evaluate is every kind of value that n may have.
func evaluate(n node, names scope) kinds {
	switch n.kind {
	case "literal":
		return n.value
	case "name":
		return names(n.text)
	case "call":
		return call(n, names)
	case "||":
		left, right := evaluate(n.operand[0], names), evaluate(n.operand[1], names)
		if !left.has(falsy) {
			return left
		}
		return left&(truthy|broken) | right
	case "&&":
		left, right := evaluate(n.operand[0], names), evaluate(n.operand[1], names)
		if !left.has(truthy) {
			return left
		}
		return left&(falsy|broken) | right
	}
	result := boolean // ! and comparisons
	for _, operand := range n.operand {
		result |= evaluate(operand, names) & broken
	}
	return result
}

func call(n node, names scope) kinds {
	switch n.text {
	case "always":
		return yes
	case "success", "failure", "cancelled", "contains", "startswith", "endswith":
		return boolean
	case "format", "join", "tojson", "hashfiles":
		return text
	case "fromjson":
		if len(n.operand) != 1 {
			return anything
		}
		return fromJSON(n.operand[0], names)
	}
	return anything
}

// fromJSON is trusted to read a boolean, where it reads anything at all.
func fromJSON(argument node, names scope) kinds {
	if argument.kind == "literal" {
		switch strings.TrimSpace(argument.text) {
		case "true":
			return yes
		case "false":
			return no
		}
		return anything
	}
	if evaluate(argument, names).has(empty) {
		return boolean | broken
	}
	return boolean
}
