// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/LerianStudio/pushguard/pkg/actions"
	"github.com/LerianStudio/pushguard/pkg/command"
	"github.com/LerianStudio/pushguard/pkg/signing"
)

const (
	loginAuto    = "auto"
	loginBrowser = "browser"
	loginDevice  = "device"

	maxToken = 64 << 10 // bytes of a token's file; a token has about 1 KiB
)

// identity says where identity tokens come from.
type identity struct {
	tokenFile string // "-" = stdin
	command   string // prints a token
	login     string // how a person logs in
	issuer    string
	clientID  string
}

func (i *identity) flags() []cli.Flag {
	const who = "Identity (default: the job's, or at a terminal the person's):"
	return []cli.Flag{
		&cli.StringFlag{Name: "identity-token-file", Usage: "use the identity token in `FILE`; - is stdin", Destination: &i.tokenFile, Category: who},
		&cli.StringFlag{Name: "identity-token-command", Usage: "use the identity token that `COMMAND` prints (run by the shell); it is run again when the token has run out", Destination: &i.command, Category: who},
		command.InCategory(who, command.Choice("login", "how a person logs in, and for browser and device: that one does", &i.login, loginAuto, loginBrowser, loginDevice)),
		&cli.StringFlag{Name: "oidc-issuer", Usage: "log in at `URL`", DefaultText: signing.DefaultIssuer, Destination: &i.issuer, Category: who},
		&cli.StringFlag{Name: "oidc-client-id", Usage: "log in as the client `ID`", DefaultText: signing.DefaultClientID, Destination: &i.clientID, Category: who},
	}
}

// source prefers what was asked for by flag, then a token that was handed in, then
// the job's own, then the person at the terminal.
func (i *identity) source(env *command.Env) (signing.TokenSource, error) {
	if i.tokenFile == "" && i.command == "" && i.login != loginAuto {
		return i.person(env, i.login == loginDevice), nil
	}
	source, there, err := i.atHand(env)
	if !there && err == nil && env.Live != nil && command.IsTerminal(env.In) {
		return i.person(env, !canOpenBrowser(env.Getenv)), nil
	}
	return source, err
}

// atHand is a token that was handed in, or the job's own. there is false when there is
// neither: then the source only says what is missing.
func (i *identity) atHand(env *command.Env) (source signing.TokenSource, there bool, err error) {
	if i.tokenFile != "" && i.command != "" {
		return source, true, &command.UsageError{Err: errors.New("--identity-token-file and --identity-token-command exclude each other")}
	}
	if i.tokenFile != "" {
		source, err = i.fromFile(env)
		return source, true, err
	}
	if i.command != "" {
		return signing.CommandToken(i.runCommand), true, nil
	}
	if token := strings.TrimSpace(env.Getenv("SIGSTORE_ID_TOKEN")); token != "" {
		return signing.StaticToken(token), true, nil
	}
	url, bearer := env.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL"), env.Getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
	return signing.ActionsToken(url, bearer), url != "" || bearer != "", nil
}

func (i *identity) fromFile(env *command.Env) (signing.TokenSource, error) {
	name, in := "stdin", env.In
	if i.tokenFile != "-" {
		f, err := os.Open(i.tokenFile)
		if err != nil {
			return signing.TokenSource{}, command.FileError(fmt.Errorf("read identity token: %w", err), "")
		}
		defer f.Close()
		name, in = i.tokenFile, f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxToken+1))
	if err != nil {
		return signing.TokenSource{}, command.FileError(fmt.Errorf("read identity token from %s: %w", name, err), "")
	}
	token := strings.TrimSpace(string(raw))
	if token == "" || len(raw) > maxToken {
		return signing.TokenSource{}, &command.UsageError{Err: errors.New("read identity token from " + name + ": it is empty, or larger than 64 KiB")}
	}
	return signing.StaticToken(token), nil
}

// runCommand runs the command for identity tokens. What it prints on stdout is shown
// nowhere; on failure its last words on stderr are.
func (i *identity) runCommand(ctx context.Context) (string, error) {
	shell, flag := "sh", "-c"
	if runtime.GOOS == "windows" {
		shell, flag = "cmd", "/C"
	}
	cmd := exec.CommandContext(ctx, shell, flag, i.command) //nolint:gosec // the user's own command
	cmd.WaitDelay = time.Second
	var out, said limitedBuffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		if text := strings.TrimSpace(said.String()); text != "" {
			return "", fmt.Errorf("%w: %s", err, text)
		}
		return "", err
	}
	return out.String(), nil
}

// limitedBuffer keeps the first maxToken bytes.
type limitedBuffer struct{ bytes.Buffer }

// Write takes all and keeps what fits.
func (b *limitedBuffer) Write(p []byte) (int, error) {
	if left := maxToken - b.Len(); left > 0 {
		b.Buffer.Write(p[:min(left, len(p))])
	}
	return len(p), nil
}

func (i *identity) person(env *command.Env, device bool) signing.TokenSource {
	return signing.LoginToken(signing.Login{
		Issuer: i.issuer, ClientID: i.clientID, Device: device, In: env.In, Out: env.Err,
		Say: func(s string) { _, _ = fmt.Fprintf(env.Err, "%s: %s\n", env.Name, actions.Plain(s)) },
	})
}

// canOpenBrowser tells a desktop from a shell on another machine.
func canOpenBrowser(getenv func(string) string) bool {
	if getenv("SSH_CONNECTION") != "" {
		return false
	}
	return runtime.GOOS == "darwin" || runtime.GOOS == "windows" || getenv("DISPLAY")+getenv("WAYLAND_DISPLAY") != ""
}
