// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/LerianStudio/pushguard/pkg/command"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/host"
	"github.com/LerianStudio/pushguard/pkg/signing"
	"github.com/LerianStudio/pushguard/pkg/signretry"
)

// check says what --check asks.
type check struct {
	on      bool
	signers signing.Signers
}

func (c *check) flags() []cli.Flag {
	const what = "Check (reads only, and needs no token):"
	text := func(name, usage string, dst *string) cli.Flag {
		return &cli.StringFlag{Name: name, Usage: usage, Destination: dst, Category: what}
	}
	on := &cli.BoolFlag{Name: "check", Usage: "ask whether the images are signed, and exit 0 if all are, 1 if one is not, 3 if that could not be asked", Destination: &c.on, DisableDefaultText: true, Category: what}
	return []cli.Flag{
		on,
		text("certificate-identity", "only signatures of `SUBJECT` count, such as the URL of a workflow; with neither: those of this job", &c.signers.Subject),
		text("certificate-identity-regexp", "only signatures of a subject that matches `REGEXP` count", &c.signers.SubjectRegexp),
		text("certificate-oidc-issuer", "only signatures of an identity from the issuer `URL` count", &c.signers.Issuer),
		text("certificate-oidc-issuer-regexp", "only signatures of an identity from an issuer that matches `REGEXP` count", &c.signers.IssuerRegexp),
	}
}

// runCheck asks whether images are signed. It writes no record, and does not act on flags
// about what is written.
func (a *app) runCheck(ctx context.Context, env *command.Env, args []string, annotations map[string]string) error {
	token, err := a.accepted(env)
	if err != nil {
		return err
	}
	book, err := a.openBook(env)
	if err != nil {
		return err
	}
	images, err := a.images(env, args, book)
	if err != nil {
		return err
	}
	client, err := host.Open(ctx, registry.Options{Timeout: a.tool.Common.Timeout, Log: env.Log}, env.Getenv)
	if err != nil {
		return command.FileError(err, "nothing was asked of a registry; correct the setting and run it again")
	}
	opts := a.options(ctx, env, client, annotations)
	opts.Token, opts.Signers = token, a.check.signers
	report := signretry.Check(ctx, images, opts)
	env.Live.Clear()
	line := ""
	lacking := slices.DeleteFunc(slices.Clone(report.Results), func(r signretry.Result) bool { return r.Status != signretry.Unsigned })
	if len(lacking) > 0 {
		line = a.commandLine(lacking, nil)
	}
	err = a.answer(env, report, nil, line)
	return errors.Join(err, a.concludeCheck(ctx, report, line))
}

// accepted makes sure that it is known whose signatures count: flags say so, or a token
// that is at hand. Nobody logs in for a check.
func (a *app) accepted(env *command.Env) (signing.TokenSource, error) {
	c := &a.check.signers
	if *c == (signing.Signers{}) {
		source, there, err := a.identity.atHand(env)
		if err == nil && !there {
			err = &command.UsageError{
				Err:  errors.New("--check needs to know whose signatures count"),
				Next: "give --certificate-identity and --certificate-oidc-issuer, or their -regexp forms; in a job with an identity token its own is the default",
			}
		}
		return source, err
	}
	var err error
	switch {
	case c.Subject != "" && c.SubjectRegexp != "":
		err = errors.New("--certificate-identity and --certificate-identity-regexp exclude each other")
	case c.Issuer != "" && c.IssuerRegexp != "":
		err = errors.New("--certificate-oidc-issuer and --certificate-oidc-issuer-regexp exclude each other")
	case c.Subject == "" && c.SubjectRegexp == "":
		err = errors.New("an issuer is given and no subject: add --certificate-identity or --certificate-identity-regexp")
	case c.Issuer == "" && c.IssuerRegexp == "":
		err = errors.New("a subject is given and no issuer: add --certificate-oidc-issuer or --certificate-oidc-issuer-regexp")
	default:
		err = c.Check()
	}
	if err != nil {
		return signing.TokenSource{}, &command.UsageError{Err: err}
	}
	return signing.TokenSource{}, nil
}

// concludeCheck turns the answer into an exit code: what is certainly not signed goes
// before what could not be asked.
func (a *app) concludeCheck(ctx context.Context, report signretry.Report, line string) error {
	failures := slices.DeleteFunc(slices.Clone(report.Results), func(r signretry.Result) bool { return r.Status.OK() })
	if len(failures) == 0 {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	later := ""
	if line != "" {
		later = "to sign what is not signed: " + line
	}
	err := failuresError("check", failures, len(report.Results), later)
	if isSetting(failures[0].Err) {
		return command.FileError(err, hint(err))
	}
	if slices.ContainsFunc(failures, func(r signretry.Result) bool { return r.Status != signretry.Unknown }) {
		return command.Exit(command.ExitRefused, err)
	}
	return command.Exit(command.ExitOutage, err)
}
