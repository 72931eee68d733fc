// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/LerianStudio/pushguard/pkg/actions"
	"github.com/LerianStudio/pushguard/pkg/command"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/host"
	"github.com/LerianStudio/pushguard/pkg/signing"
	"github.com/LerianStudio/pushguard/pkg/signretry"
)

const (
	onFailureFail = "fail"
	onFailureWarn = "warn"

	formatBoth = "both"
	formatNone = "none" // nothing is signed: images are copied and tagged alone
)

// app holds the values of the flags.
type app struct {
	tool         *command.Tool
	metadata     string
	metadataJSON string
	onFailure    string
	format       string
	annotations  []string // KEY=VALUE
	attest       []string // TYPE=FILE
	attestations []*signing.Attestation
	recursive    bool
	thenTags     []string
	// thenTagChecked puts the tags that tagcheck has checked, as the record has them.
	thenTagChecked bool
	anyRun         bool
	parallel       int
	rateLimit      int
	identity       identity
	services       signing.Source
	rekorVersion   int
	fallback       struct {
		after  time.Duration
		config string
	}
	check check
}

func newTool() *command.Tool {
	a := &app{onFailure: onFailureFail, parallel: 4, identity: identity{login: loginAuto}}
	a.tool = &command.Tool{
		Name:  "signretry",
		Usage: "sign container images with Sigstore, and keep at it until the signature holds",
		Synopsis: "signretry [flags] IMAGE@DIGEST...\n" +
			"signretry [flags] --metadata FILE\n" +
			"signretry [flags] --record FILE\n" +
			"signretry --check [flags] IMAGE...\n" +
			"some-command | signretry [flags] -",
		Description: "Each image is named by its digest. What this identity has signed already is left as it is.\n" +
			"The identity is the token in SIGSTORE_ID_TOKEN or a file, the GitHub Actions job's\n" +
			"(permissions: id-token: write), or at a terminal that of the person, who logs in.\n" +
			"With --check it asks whether images are signed, and writes nothing.",
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "metadata", Usage: "sign what `FILE` says was pushed: the metadata file of docker buildx build or bake", Destination: &a.metadata},
			&cli.StringFlag{Name: "metadata-json", Usage: "as --metadata, but the `JSON` itself: the output metadata of docker/build-push-action or docker/bake-action", Destination: &a.metadataJSON},
			command.Choice("on-failure", "what to do when an image could not be signed", &a.onFailure, onFailureFail, onFailureWarn),
			command.DefaultText("bundle; with --check: any", command.Choice("format", "layout of the signature; none: sign nothing, put the tags alone", &a.format, string(signing.FormatBundle), string(signing.FormatLegacy), formatBoth, formatNone)),
			command.Strings("annotation", "sign `KEY=VALUE` with the image", &a.annotations),
			command.Strings("attest", "attest the images, too: `TYPE=FILE`, the type spdxjson, cyclonedx, slsaprovenance1, vuln, openvex, custom or a URI; with --check TYPE will do", &a.attest),
			command.Bool("recursive", "sign the manifests that an index lists, too", &a.recursive),
			command.AnyRun(&a.anyRun),
			command.Strings("then-tag", "once an image is signed in all its repositories, put `TAG` on it: a tag for each repository of the run, or registry/repository:tag", &a.thenTags),
			command.Bool("then-tag-checked", "likewise, put the tags that tagcheck has checked and that the image lacks, as the record has them", &a.thenTagChecked),
			&cli.IntFlag{Name: "parallel", Usage: "sign `N` digests at once", Destination: &a.parallel, Value: a.parallel},
			&cli.IntFlag{Name: "rate-limit", Usage: "begin at most `N` signatures a second, each of which asks each service of Sigstore once; 0 is no limit", Destination: &a.rateLimit},
		}, a.check.flags(), a.identity.flags(), a.serviceFlags()),
		// As many attempts as the time allows: an outage of Rekor lasts several minutes,
		// and ten attempts are over in two.
		Manual: manual,
		Common: command.Common{Timeout: 30 * time.Second, InitialDelay: time.Second, MaxDelay: time.Minute, MaxElapsed: 15 * time.Minute},
		Run:    a.run,
	}
	return a.tool
}

func (a *app) serviceFlags() []cli.Flag {
	const where = "Sigstore services (default: the public instance):"
	text := func(name, usage string, dst *string) cli.Flag {
		return &cli.StringFlag{Name: name, Usage: usage, Destination: dst, Category: where}
	}
	return []cli.Flag{
		text("trusted-root", "trust what `FILE` (trusted_root.json) says", &a.services.TrustedRoot),
		text("signing-config", "use the services that `FILE` (signing_config.json) names", &a.services.SigningConfig),
		text("tuf-url", "get both from the TUF repository at `URL`", &a.services.TUFURL),
		text("tuf-root", "begin there with the keys in `FILE` (root.json; without: the public instance's)", &a.services.TUFRoot),
		text("fulcio-url", "get certificates from `URL`", &a.services.FulcioURL),
		text("rekor-url", "log signatures at `URL`", &a.services.RekorURL),
		&cli.IntFlag{Name: "rekor-version", Usage: "the log's API has major version `N` (1 or 2; of --rekor-url: 1)", Destination: &a.rekorVersion, Category: where},
		command.Duration("fallback-after", "log bundles in the Rekor v2 of a second signing config when Rekor v1 has been down for `TIME`; 0 = never", &a.fallback.after, where),
		text("fallback-signing-config", "the second signing config is `FILE` (default: that of the TUF repository)", &a.fallback.config),
		text("timestamp-url", "get timestamps from `URL`, with its path", &a.services.TimestampURL),
	}
}

func (a *app) run(ctx context.Context, env *command.Env, args []string) error {
	if err := a.checkNumbers(); err != nil {
		return err
	}
	annotations, err := parseAnnotations(a.annotations)
	if err != nil {
		return err
	}
	if a.attestations, err = a.parseAttestations(); err != nil {
		return err
	}
	if a.check.on {
		return a.runCheck(ctx, env, args, annotations)
	}
	book, err := a.openBook(env)
	if err != nil {
		return err
	}
	images, err := a.images(env, args, book)
	if err != nil {
		return err
	}
	names, images, err := a.names(images, book)
	if err != nil {
		return err
	}
	sign, err := a.signer(ctx, env, annotations, book)
	if err != nil {
		return err
	}
	if err := book.Save(); err != nil {
		return command.Internal(err)
	}
	client, err := host.Open(ctx, registry.Options{Timeout: a.tool.Common.Timeout, Log: env.Log}, env.Getenv)
	if err != nil {
		return command.FileError(err, "nothing was signed; correct the setting and run it again")
	}
	namer := a.namer(env, client)
	if len(names) > 0 {
		if err := a.complete(ctx, env, namer, images, book); err != nil {
			return err
		}
	}
	report := sign(client, images)
	env.Live.Clear()
	named := a.name(ctx, namer, names, report, book)
	err = a.tell(ctx, env, report, named)
	return errors.Join(command.Internal(book.err), err)
}

// options are those that signing and checking share.
func (a *app) options(ctx context.Context, env *command.Env, client *host.Registries, annotations map[string]string) signretry.Options {
	return signretry.Options{
		Registry:      client,
		Signer:        signing.New(signing.Options{Timeout: a.tool.Common.Timeout, Logger: env.Log}),
		Services:      a.services,
		FallbackAfter: a.fallback.after, FallbackConfig: a.fallback.config,
		Policy:       a.tool.Common.Policy(),
		Budget:       a.tool.Common.MaxElapsed,
		Parallel:     a.parallel,
		Rate:         float64(a.rateLimit),
		Formats:      a.formats(),
		Annotations:  annotations,
		Attestations: a.attestations,
		Recursive:    a.recursive,
		Logger:       env.Log,
		OnWait:       func(w signretry.Waiting) { showWait(ctx, env, w) },
	}
}

// signer returns what signs images, or leaves all of them unsigned where nothing is to be
// signed.
func (a *app) signer(ctx context.Context, env *command.Env, annotations map[string]string, b *book) (func(*host.Registries, []registry.Reference) signretry.Report, error) {
	if a.format == formatNone {
		return func(_ *host.Registries, images []registry.Reference) (r signretry.Report) {
			for _, image := range images {
				r.Results = append(r.Results, signretry.Result{Ref: image, Status: signretry.Unsigned})
			}
			return r
		}, nil
	}
	token, err := a.identity.source(env)
	if err != nil {
		return nil, err
	}
	return func(client *host.Registries, images []registry.Reference) signretry.Report {
		opts := a.options(ctx, env, client, annotations)
		opts.Token, opts.OnResult = token, b.add
		return signretry.Run(ctx, images, opts)
	}, nil
}

// checkNumbers refuses numbers that make no sense.
func (a *app) checkNumbers() error {
	switch {
	case a.rekorVersion < 0 || a.rekorVersion > 2:
		return command.Usagef("--rekor-version is %d: 1 and 2 are known", a.rekorVersion)
	case a.fallback.config != "" && a.fallback.after == 0:
		return command.Usagef("--fallback-signing-config is given without --fallback-after: nothing would lead to it")
	case a.fallback.after > 0 && a.rekorVersion == 2:
		return command.Usagef("--fallback-after is for Rekor v1, and --rekor-version is 2")
	case a.rateLimit < 0:
		return command.Usagef("--rate-limit is %d: 0 is no limit", a.rateLimit)
	case a.parallel < 1:
		return command.Usagef("--parallel is %d: at least 1 is needed", a.parallel)
	}
	a.services.RekorVersion = uint32(a.rekorVersion)
	return nil
}

// formats are the layouts asked for, none when that was left open.
func (a *app) formats() []signing.Format {
	switch a.format {
	case "":
		return nil
	case formatBoth:
		return []signing.Format{signing.FormatBundle, signing.FormatLegacy}
	}
	return []signing.Format{signing.Format(a.format)}
}

func parseAnnotations(words []string) (map[string]string, error) {
	annotations := map[string]string{}
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok || key == "" {
			return nil, command.Usagef("--annotation %q is not of the form KEY=VALUE", w)
		}
		if other, twice := annotations[key]; twice && other != value {
			return nil, &command.UsageError{Err: fmt.Errorf("--annotation gives %q two values", key)}
		}
		annotations[key] = value
	}
	return annotations, nil
}

// maxAttested bounds a file of --attest, in bytes.
const maxAttested = 64 << 20

// parseAttestations reads the files of --attest, and refuses what is not of its type.
func (a *app) parseAttestations() ([]*signing.Attestation, error) {
	var attestations []*signing.Attestation
	for _, word := range a.attest {
		at := strings.IndexByte(word, '=')
		if strings.Contains(word, "://") { // a URI may have a "=" of its own
			at = strings.LastIndexByte(word, '=')
		}
		kind, path := word, ""
		if at >= 0 {
			kind, path = word[:at], word[at+1:]
		}
		if path == "" && !a.check.on {
			return nil, command.Usagef("--attest %q is not of the form TYPE=FILE", word)
		}
		attestation, err := signing.AttestationOf(kind)
		if err != nil {
			return nil, &command.UsageError{Err: fmt.Errorf("--attest: %w", err)}
		}
		if path != "" {
			content, err := readFile(path, maxAttested)
			if err != nil {
				return nil, command.FileError(fmt.Errorf("read the file of --attest %s: %w", kind, err), "nothing was signed")
			}
			if attestation, err = signing.NewAttestation(kind, content, time.Now()); err != nil {
				return nil, &command.UsageError{Err: fmt.Errorf("--attest %s: %s: %w", kind, path, err), Next: "nothing was signed"}
			}
		}
		attestations = append(attestations, attestation)
	}
	return attestations, nil
}

// showWait says what is waited for, since when and until when: on a terminal in a
// line that counts down, else in a line of the log.
func showWait(ctx context.Context, env *command.Env, w signretry.Waiting) {
	if env.Live == nil || env.Log.Enabled(ctx, slog.LevelDebug) {
		attrs := []slog.Attr{
			slog.String("stage", w.Stage), slog.String("for", w.Subject), slog.Int("attempt", w.Attempt),
			slog.Duration("wait", w.Delay.Round(time.Millisecond)), slog.String("since", clock(w.Since)),
		}
		if !w.Deadline.IsZero() {
			attrs = append(attrs, slog.String("until", clock(w.Deadline)))
		}
		env.Log.LogAttrs(ctx, slog.LevelInfo, "trying again", append(attrs, slog.String("reason", w.Err.Error()))...)
		return
	}
	if env.Log.Enabled(ctx, slog.LevelInfo) {
		env.Live.Show(func(now time.Time) string { return waitLine(w, now) })
	}
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05Z") }

// waitLine fits on a line of 80 columns: what for, since when, until when, and then why.
func waitLine(w signretry.Waiting, now time.Time) string {
	left := max(w.Until.Sub(now), 0).Round(time.Second)
	text := fmt.Sprintf("waiting for %s since %s, try %d in %s", w.Stage, w.Since.Local().Format(time.TimeOnly), w.Attempt+1, left)
	if !w.Deadline.IsZero() {
		text += ", until " + w.Deadline.Local().Format(time.TimeOnly)
	}
	const columns = 79
	line := []rune(actions.Plain(text + ": " + w.Err.Error()))
	if len(line) > columns {
		line = append(line[:columns-1], '…')
	}
	return string(line)
}
