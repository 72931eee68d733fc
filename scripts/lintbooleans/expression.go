// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// node is a part of an expression of GitHub Actions.
type node struct {
	kind string // literal, name, call, or an operator: "!", "&&", "||", "==", …
	// text is a literal's value, a function's name in lower case, or a name with its
	// parts joined by dots, in lower case, "*" for an index that is not a literal.
	text    string
	value   kinds // of a literal
	operand []node
}

// parse reads the inside of ${{ }}.
func parse(text string) (node, error) {
	p := &parser{rest: text}
	p.next()
	n := p.or()
	if p.err == nil && p.token != "" {
		p.fail("unexpected %q", p.token)
	}
	return n, p.err
}

// parser is a recursive descent over GitHub's grammar: || over && over comparisons
// over ! over what stands alone.
type parser struct {
	rest  string
	token string // the one at hand, "" at the end
	kind  byte   // of the token: 'n' name, '0' number, '\'' string, else an operator
	err   error
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
	p.token, p.rest = "", ""
}

func (p *parser) next() {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	if p.rest == "" {
		p.token, p.kind = "", 0
		return
	}
	switch c := p.rest[0]; {
	case c == '\'':
		p.text()
	case isLetter(c):
		p.take('n', func(c byte) bool { return isLetter(c) || isDigit(c) || c == '-' })
	case isDigit(c), (c == '-' || c == '+' || c == '.') && len(p.rest) > 1 && (isDigit(p.rest[1]) || p.rest[1] == '.'):
		p.take('0', func(c byte) bool { return isLetter(c) || isDigit(c) || strings.IndexByte("+-.", c) >= 0 })
	default:
		for _, operator := range []string{"&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ".", ",", "*"} {
			if strings.HasPrefix(p.rest, operator) {
				p.token, p.kind, p.rest = operator, operator[0], p.rest[len(operator):]
				return
			}
		}
		p.fail("unexpected %q", c)
	}
}

func (p *parser) take(kind byte, part func(byte) bool) {
	end := 1
	for end < len(p.rest) && part(p.rest[end]) {
		end++
	}
	p.token, p.kind, p.rest = p.rest[:end], kind, p.rest[end:]
}

// text reads 'text', in which two quotes stand for one.
func (p *parser) text() {
	for i := 1; i < len(p.rest); i++ {
		switch {
		case p.rest[i] != '\'':
		case i+1 < len(p.rest) && p.rest[i+1] == '\'':
			i++
		default:
			p.token, p.kind, p.rest = p.rest[:i+1], '\'', p.rest[i+1:]
			return
		}
	}
	p.fail("a text without its closing quote")
}

func (p *parser) or() node         { return p.binary(p.and, "||") }
func (p *parser) and() node        { return p.binary(p.comparison, "&&") }
func (p *parser) comparison() node { return p.binary(p.not, "==", "!=", "<", "<=", ">", ">=") }

func (p *parser) binary(operand func() node, operators ...string) node {
	left := operand()
	for {
		found := ""
		for _, operator := range operators {
			if p.token == operator {
				found = operator
			}
		}
		if found == "" {
			return left
		}
		p.next()
		left = node{kind: found, operand: []node{left, operand()}}
	}
}

func (p *parser) not() node {
	if p.token == "!" {
		p.next()
		return node{kind: "!", operand: []node{p.not()}}
	}
	return p.postfix(p.primary())
}

func (p *parser) primary() node {
	token, kind := p.token, p.kind
	switch kind {
	case '(':
		p.next()
		n := p.or()
		p.expect(")")
		return n
	case '\'':
		p.next()
		return literal(strings.ReplaceAll(token[1:len(token)-1], "''", "'"))
	case '0':
		p.next()
		return number(p, token)
	case 'n':
		p.next()
		switch lower := strings.ToLower(token); {
		case p.token == "(":
			return node{kind: "call", text: lower, operand: p.arguments()}
		case lower == "true":
			return node{kind: "literal", value: yes}
		case lower == "false":
			return node{kind: "literal", value: no}
		case lower == "null":
			return node{kind: "literal", value: empty}
		default:
			return node{kind: "name", text: lower}
		}
	}
	p.fail("unexpected %q", token)
	return node{}
}

func number(p *parser, token string) node {
	f, err := strconv.ParseFloat(token, 64)
	if err != nil {
		i, hexErr := strconv.ParseInt(token, 0, 64)
		if f = float64(i); hexErr != nil {
			p.fail("%q is no number", token)
		}
	}
	if f == 0 {
		return node{kind: "literal", text: token, value: zero}
	}
	return node{kind: "literal", text: token, value: nonzero}
}

func literal(text string) node {
	if text == "" {
		return node{kind: "literal", value: empty}
	}
	return node{kind: "literal", text: text, value: words}
}

func (p *parser) arguments() (list []node) {
	p.next()
	for p.token != ")" && p.err == nil {
		list = append(list, p.or())
		if p.token != "," {
			break
		}
		p.next()
	}
	p.expect(")")
	return list
}

// postfix reads .name, .* and [index] behind a name or a call.
func (p *parser) postfix(n node) node {
	for {
		var part string
		switch p.token {
		case ".":
			p.next()
			part = strings.ToLower(p.token)
			if p.kind != 'n' && p.kind != '*' {
				p.fail("a name is missing behind a dot")
			}
			p.next()
		case "[":
			p.next()
			index := p.or()
			part = "*"
			if index.kind == "literal" && index.value == words {
				part = strings.ToLower(index.text)
			}
			p.expect("]")
		default:
			return n
		}
		if n.kind == "name" {
			n.text += "." + part
		} else {
			n = node{kind: "name", text: "*." + part}
		}
	}
}

func (p *parser) expect(token string) {
	if p.token != token && p.err == nil {
		p.err = errors.New("a " + token + " is missing")
	}
	p.next()
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
