// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signingtest

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// Pipe is a network of one listener in memory. HTTP over it works on the
// virtual time of a testing/synctest bubble, where sockets do not.
type Pipe struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// NewPipe returns a Pipe. It must be made in the bubble that uses it.
func NewPipe() *Pipe { return &Pipe{conns: make(chan net.Conn), done: make(chan struct{})} }

// Accept waits for a Dial.
func (p *Pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and Dial.
func (p *Pipe) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

// Addr is a name, nothing more.
func (*Pipe) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// DialContext connects to Accept, whatever the address.
func (p *Pipe) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.done:
		return nil, &net.OpError{Op: "dial", Net: "pipe", Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Transport is an HTTP transport that knows only this network. The caller
// closes its idle connections.
func (p *Pipe) Transport() *http.Transport { return &http.Transport{DialContext: p.DialContext} }
