// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package process runs the programs of the end-to-end tests: servers that are
// started, awaited and stopped by process id, and commands whose streams and
// exit code are the result.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	pollPause   = 50 * time.Millisecond  // between two readiness probes
	probeLimit  = 2 * time.Second        // one readiness probe
	tailBytes   = 3 << 10                // of a server's log in an error or a failure report
	portRetries = 100 * time.Millisecond // between two looks at a busy port
	stopLimit   = 10 * time.Second       // for a server to end itself
)

// Command says how one program is run.
type Command struct {
	Name string         // of the program in logs and errors; also its log file's
	Path string         // of the executable
	Args []string       // without the program's name
	Env  []string       // whole environment; nothing is inherited
	Dir  string         // working directory
	User string         // to run as; empty is this process's
	End  syscall.Signal // that ends a server; 0 is SIGKILL: nothing that most hold is kept
}

func (c Command) end() syscall.Signal {
	if c.End == 0 {
		return syscall.SIGKILL
	}
	return c.End
}

// Server is a running program. It dies with this process (Linux), with Stop,
// or on its own; Done tells.
type Server struct {
	name string
	log  string
	end  syscall.Signal
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of Wait; valid once done is closed
}

// Start runs c with both streams in logDir/NAME.log. The server is not bound to
// a context: it runs until Stop.
func Start(c Command, logDir string) (*Server, error) {
	out, err := os.Create(filepath.Join(logDir, c.Name+".log"))
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env, cmd.Dir = c.Env, c.Dir
	cmd.Stdout, cmd.Stderr = out, out
	if cmd.SysProcAttr, err = attributes(c, true); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", c.Name, err), out.Close())
	}
	s := &Server{name: c.Name, log: out.Name(), end: c.end(), cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The kernel ties a child's life to the thread that forked it, not to
		// the process: this thread has to live as long as the child.
		runtime.LockOSThread()
		defer out.Close()
		err := cmd.Start()
		started <- err
		if err == nil {
			s.err = cmd.Wait()
		}
		close(s.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	return s, nil
}

// Name is the Name of the Command.
func (s *Server) Name() string { return s.name }

// AwaitHTTP polls url until it answers 200, the server dies or ctx ends.
func (s *Server) AwaitHTTP(ctx context.Context, url string) error {
	return s.Await(ctx, func(ctx context.Context) error { return get(ctx, url) })
}

// Await probes the server until the probe succeeds, the server dies or ctx ends.
// The error of the latter two carries the end of the server's log.
func (s *Server) Await(ctx context.Context, probe func(context.Context) error) error {
	for {
		last := limited(ctx, probe)
		if last == nil {
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("await %s: it ended: %w\n%s", s.name, errors.Join(s.err, last), s.Tail())
		case <-ctx.Done():
			return fmt.Errorf("await %s: %w (last: %w)\n%s", s.name, context.Cause(ctx), last, s.Tail())
		case <-time.After(pollPause):
		}
	}
}

func limited(ctx context.Context, probe func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	return probe(ctx)
}

func get(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return nil
}

// Stop sends the server the signal that ends it, which is SIGKILL where nothing
// says otherwise (some take seconds to leave on SIGTERM), and waits for it. Having
// ended before is an error.
func (s *Server) Stop() error {
	select {
	case <-s.done:
		return fmt.Errorf("stop %s: it had ended already: %w", s.name, s.err)
	default:
	}
	if err := s.cmd.Process.Signal(s.end); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", s.name, err)
	}
	select {
	case <-s.done:
		return nil
	case <-time.After(stopLimit):
	}
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", s.name, err)
	}
	<-s.done
	return fmt.Errorf("stop %s: it did not end within %v of %v", s.name, stopLimit, s.end)
}

// Tail is the end of the server's log, for a failure report.
func (s *Server) Tail() string {
	data, err := os.ReadFile(s.log)
	if err != nil {
		return fmt.Sprintf("--- log of %s: %v", s.name, err)
	}
	if len(data) > tailBytes {
		data = data[len(data)-tailBytes:]
	}
	return fmt.Sprintf("--- end of %s\n%s", s.log, bytes.TrimSpace(data))
}

// Result is what one finished command left.
type Result struct {
	Stdout, Stderr string
	Code           int
	Took           time.Duration
}

// Run runs c to its end. A non-zero exit code is a Result, not an error.
func Run(ctx context.Context, c Command, stdin io.Reader) (Result, error) {
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Env, cmd.Dir, cmd.Stdin = c.Env, c.Dir, stdin
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var err error
	if cmd.SysProcAttr, err = attributes(c, false); err != nil {
		return Result{}, fmt.Errorf("run %s: %w", c.Name, err)
	}
	begin := time.Now()
	err = cmd.Run()
	res := Result{
		Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode(),
		Took: time.Since(begin),
	}
	if _, ok := errors.AsType[*exec.ExitError](err); ok && ctx.Err() == nil {
		return res, nil
	}
	if err != nil {
		return res, fmt.Errorf("run %s: %w\n%s%s", c.Name, err, res.Stdout, res.Stderr)
	}
	return res, nil
}

// Ports that servers are given: below those that the kernel hands out by itself
// (net.ipv4.ip_local_port_range), so that no listener on port 0 and no connection
// takes one between the look and the server's own listen.
const (
	firstPort = 20000
	portCount = 12000
)

var nextPort atomic.Uint32

// FreePort is a TCP port of the loopback interface that nothing listens on now. No
// port is given twice, unless all have been; two processes begin at different ones.
func FreePort(ctx context.Context) (int, error) {
	var lc net.ListenConfig
	var last error
	for range portCount {
		port := firstPort + (os.Getpid()*101+int(nextPort.Add(1)))%portCount
		l, err := lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
		last = err
	}
	return 0, fmt.Errorf("find a free port: %w", last)
}

// AwaitPortFree waits until addr can be listened on: for servers whose port is
// fixed and may still be held by another run on the same machine.
func AwaitPortFree(ctx context.Context, addr string) error {
	var lc net.ListenConfig
	for {
		l, err := lc.Listen(ctx, "tcp", addr)
		if err == nil {
			return l.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("await port %s: %w (last: %w)", addr, context.Cause(ctx), err)
		case <-time.After(portRetries):
		}
	}
}
